"""What a report says of handmade runs: outcomes, numbers, and what is not there."""

import pytest
import recomputed_report
from handmade_experiment import write, write_run

from hasnn_jax.common.errors import InputError
from hasnn_jax.experiments.outcome import outcome
from hasnn_jax.experiments.report import compute_report, publish, write_report

BASE = {1: 0.50, 2: 0.52, 3: 0.51}


def outcome_of(root, accuracies, diverged=(), **about):
    write(root, accuracies, diverged, **about)
    return outcome(compute_report(root)[0])


def test_a_variant_that_is_better_with_every_seed_is_called_better(tmp_path):
    said = outcome_of(tmp_path, {"base": BASE, "other": {1: 0.60, 2: 0.63, 3: 0.61}})

    assert said == (
        "The baseline, base, reached a test accuracy of 51.00 % with 3 seeds (standard deviation 1.00 points). Better "
        "than it by the 95 % interval: other (+10.33 points, +8.90 to +11.77, 3 seeds)."
    )


def test_a_variant_that_is_worse_is_called_worse_beside_the_papers_claim(tmp_path):
    said = outcome_of(tmp_path, {"base": BASE, "other": {1: 0.40, 2: 0.43, 3: 0.41}}, paper="it is better.")

    assert "Worse than it by the 95 % interval: other (-9.67 points, -11.10 to -8.23, 3 seeds)." in said
    assert said.endswith("The paper says: it is better.")


def test_what_the_seeds_do_not_decide_cannot_be_told(tmp_path):
    said = outcome_of(tmp_path, {"base": BASE, "other": {1: 0.40, 2: 0.63, 3: 0.51}})

    assert "Cannot tell, because the interval includes no difference or has no width: other (+0.33 points" in said
    assert "etter than" not in said


def test_one_seed_claims_nothing(tmp_path):
    said = outcome_of(tmp_path, {"base": {1: 0.5}, "other": {1: 0.9}}, seeds=[1])

    assert said == (
        "The baseline, base, reached a test accuracy of 50.00 % with 1 seed. Cannot tell, because one seed shows no "
        "spread and nothing is claimed from it: other (+40.00 points, 1 seed)."
    )
    assert "±" not in compute_report(tmp_path)[1].partition("Accuracy is that")[0]


def test_without_the_baseline_nothing_is_compared(tmp_path):
    said = outcome_of(tmp_path, {"other": BASE}, seeds=[1, 2])

    assert said == "Nothing is compared: the baseline, base, has no complete run. 2 of 4 runs are missing."


def test_seeds_that_diverged_are_named_and_left_out(tmp_path):
    said = outcome_of(tmp_path, {"base": BASE, "other": {1: 0.6, 2: 0.63}}, [("other", 3)])
    report = compute_report(tmp_path)[1]

    assert "Diverged, and left out of the means: other in 1 of 3 seeds." in said
    assert "missing" not in said
    assert "| other | 2, 1 diverged | 61.50 ± 2.12 |" in report
    assert "| other, seed 3 | diverged at step 7: the loss is not finite |" in report


def test_a_variant_that_always_diverges_has_no_numbers(tmp_path):
    write(tmp_path, {"base": BASE}, [("other", 1), ("other", 2), ("other", 3)])

    assert "| other | 0, 3 diverged |  |  | diverged |" in compute_report(tmp_path)[1]


def test_what_is_missing_or_not_complete_is_named(tmp_path):
    write(tmp_path, {"base": BASE, "other": {1: 0.6}})
    write_run(tmp_path, "other", 2, 0.6, epochs=1)

    assert "2 of 6 runs are missing: other, seed 2; other, seed 3." in compute_report(tmp_path)[1]


def test_runs_that_were_not_made_here_count_and_say_so(tmp_path):
    write(tmp_path, {"base": BASE, "other": BASE})

    assert "| 6 | not recorded | not recorded | not recorded |" in compute_report(tmp_path)[1]


def test_with_many_variants_the_report_warns_of_chance(tmp_path):
    names = [f"v{i}" for i in range(3)]
    variants = {name: {"about": "", "overrides": {}} for name in ["base", *names]}
    shifted = {name: {s: a + 0.001 * s for s, a in BASE.items()} for name in names}
    said = outcome_of(tmp_path, {"base": BASE, **shifted}, variants=variants, asked=list(variants))

    assert "Each of the 3 intervals stands for itself" in said


def test_the_numbers_are_recomputed_in_another_way(tmp_path):
    write(tmp_path, {"base": BASE, "other": {1: 0.6, 2: 0.63, 4: 0.1}}, [("other", 3)], tradeoff=True)
    write_report(tmp_path)

    recomputed_report.require_recomputable(tmp_path)
    assert "| other | 10 | 4 | 1 | 2 | 25.0 | 12.5 | 1 | 2 | 3 | 4 |" in (tmp_path / "report.md").read_text()


def test_before_any_run_is_complete_there_is_a_report_that_says_so(tmp_path):
    write(tmp_path, {}, tradeoff=True)
    report = write_report(tmp_path).read_text()

    assert "Nothing is compared: the baseline, base, has no complete run. 6 of 6 runs are missing." in report
    assert "| other | 0 |  |  | not run |" in report


def test_a_folder_is_published_once_and_without_the_machines_places(tmp_path):
    write(tmp_path / "run", {"base": BASE})
    write_run(tmp_path / "run", "other", 1, 0.5, **{"data.data_dir": "/mnt/disk"})
    publish(tmp_path / "run", tmp_path / "out")

    assert "/mnt/disk" not in (tmp_path / "out/runs/other/seed_1/config.json").read_text()
    with pytest.raises(InputError, match=r"--publish .*out: exists already; name a new folder"):
        publish(tmp_path / "run", tmp_path / "out")


def test_nothing_complete_is_not_published(tmp_path):
    write(tmp_path / "run", {})
    with pytest.raises(InputError, match="has no complete run to publish"):
        publish(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "cost.json", "run.json"])
def test_a_damaged_file_is_named(name, tmp_path):
    write(tmp_path, {"base": BASE})
    file = tmp_path / "runs/base/seed_1" / name
    file.write_text("{\n")
    with pytest.raises(InputError, match=str(file)):
        compute_report(tmp_path)

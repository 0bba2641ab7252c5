"""Which runs an experiment has, and how they are shared out; what is refused before any of them begins."""

import json
import re

import hypothesis
import pytest
from handmade_experiment import write_run
from hypothesis import strategies as st
from tiny_runs import tiny_config
from typed_experiment import typed

from hasnn_jax.common.errors import InputError
from hasnn_jax.config import flatten
from hasnn_jax.experiments.catalogue import EXPERIMENTS
from hasnn_jax.experiments.experiment import Variant, base_config, configured
from hasnn_jax.experiments.plan import parse_part, part_of, plan_runs, require_valid
from hasnn_jax.experiments.runner import estimate
from hasnn_jax.experiments.widths import closest, matching_ann

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
TWO = (Variant("a", {}, ""), Variant("b", {"optim.learning_rate": 0.1}, ""))


def test_every_variant_comes_with_the_first_seed_first(tmp_path):
    runs = plan_runs(tiny_config(), TWO, (5, 6), tmp_path)

    assert [run.name for run in runs] == ["a, seed 5", "b, seed 5", "a, seed 6", "b, seed 6"]
    assert [run.config.seed for run in runs] == [5, 5, 6, 6]
    assert runs[3].folder == tmp_path / "runs/b/seed_6"
    assert (runs[1].config.optim.learning_rate, runs[0].config.optim.learning_rate) == (0.1, 1e-3)


@hypothesis.settings(deadline=None)
@hypothesis.given(st.integers(0, 40), st.integers(1, 12), st.integers(1, 12))
def test_parts_share_out_all_runs_and_each_once(count, parts, variants):
    shared = [part_of(range(count), part, parts, variants) for part in range(1, parts + 1)]

    assert sorted(run for part in shared for run in part) == list(range(count))
    assert max(map(len, shared)) - min(map(len, shared)) <= 1


@pytest.mark.parametrize(("variants", "parts"), [(2, 2), (4, 2), (6, 3), (3, 2)])
def test_no_part_has_the_same_variants_with_every_seed(variants, parts):
    runs = [(seed, variant) for seed in range(parts) for variant in range(variants)]

    for part in range(1, parts + 1):
        assert {variant for _, variant in part_of(runs, part, parts, variants)} == set(range(variants))


@pytest.mark.parametrize(("text", "expected"), [(None, (1, 1)), ("1/1", (1, 1)), ("2/8", (2, 8))])
def test_a_part_is_read(text, expected):
    assert parse_part(text) == expected


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_every_variant_of_the_catalogue_is_valid_and_has_its_own_settings(name, tmp_path):
    base = base_config(tiny_config(), short=True)
    experiment = EXPERIMENTS[name]
    variants = experiment.variants(base)

    assert experiment.baseline in [variant.name for variant in variants]
    assert len({variant.name for variant in variants}) == len(variants) > 1
    assert all(variant.about and variant.name.replace("_", "").replace(".", "").isalnum() for variant in variants)
    require_valid(plan_runs(base, variants, (1, 2), tmp_path))


@pytest.mark.parametrize("name", ["rescaling", "neuron_decoder_order"])
def test_variants_of_the_paper_are_so_with_every_base_config(name, tmp_path):
    base = base_config(tiny_config(model__spiking__spec="as_recommended"), short=False)
    runs = plan_runs(base, EXPERIMENTS[name].variants(base), (1,), tmp_path)
    assert {run.config.model.spiking.spec for run in runs} == {"as_described"}
    require_valid(runs)


def test_runs_log_to_their_own_files_and_keep_one_checkpoint_unless_asked(tmp_path):
    lean = base_config(tiny_config(), short=False)
    asked = base_config(tiny_config(keep_best=3, loggers=("wandb",)), short=False)

    assert (lean.loggers, lean.keep_checkpoints, lean.keep_best) == ((), 1, 0)
    assert (asked.loggers, asked.keep_checkpoints, asked.keep_best) == (("wandb",), 1, 3)


def test_an_override_of_none_is_none_and_what_is_not_named_stays():
    base = tiny_config(optim__clip_rms=0.01, model__statistics_group=64)
    changed = flatten(configured(base, {"optim.clip_rms": None}, "variant x"))

    assert changed == {**flatten(base), "optim.clip_rms": None}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"optim.learning_rat": 1}, "variant x: unknown config key 'optim.learning_rat'.*'optim.learning_rate'"),
        ({"epochs": "many"}, "variant x: .*epochs"),
        ({"optim.name": "adan"}, "variant x: unknown optimizer 'adan'.*did you mean 'adam'"),
        ({"model.spiking.neuron": "lif(tau=0)"}, "variant x: neuron 'lif.tau=0.': tau"),
        ({"data.image_size": 2}, "variant x: "),
        ({"batch_size": 0}, "variant x: config.batch_size: expected a whole number"),
        ({"epochs": 2}, "variants x and base have the same settings"),
    ],
)
def test_a_variant_that_is_not_valid_is_refused_by_name(overrides, message, tmp_path):
    variants = (Variant("base", {}, ""), Variant("x", overrides, ""))
    with pytest.raises(InputError, match=message):
        require_valid(plan_runs(tiny_config(), variants, (1,), tmp_path))


def test_the_closest_width_is_found_from_either_side():
    assert closest(lambda b: b * b, 83, 4) == 9
    assert closest(lambda b: b * b, 95, 4) == 10
    assert closest(lambda b: b * b, 81, 4) == 9
    assert closest(lambda b: b * b, 3, 4) == 4


def test_anns_are_matched_by_counting(tmp_path):
    names = matching_ann(tiny_config(model__name="has8_vgg_b4_m2_d1"), ("parameters", "macs"))

    assert all(name.startswith("has8_vgg_b") and name.endswith("_m2_d1") for name in names.values())
    assert names["parameters"] != names["macs"] != "has8_vgg_b4_m2_d1"


def test_the_time_left_is_that_of_the_same_variant_where_it_is_known():
    assert estimate(["a", "b"], {}) == ""
    assert estimate(["a", "b", "c"], {"a": [10.0, 20.0], "b": [60.0]}) == "; about 1m45s left"  # 15 + 60 + 30
    assert estimate(["a"] * 4, {"a": [10.0, 20.0]}, jobs=2) == "; about 30s left"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--variants", "base,slwo"), "unknown variant of tiny 'slwo': expected one of .*did you mean 'slow'"),
        (("--part", "3/2"), "--part: expected a part from 1/2 to 2/2; got 3/2"),
        (("--part", "0/2"), "--part: expected a part from 1/2 to 2/2; got 0/2"),
        (("--part", "half"), "--part: expected I/N such as 2/8, the second of eight parts; got 'half'"),
        (("--seeds", "0"), "--seeds: expected 1 or more; got 0"),
        (("--workdir", __file__), "workdir .*: is a file"),
        (("--workdir", "/dev/null/x"), "workdir /dev/null/x: is a file or lies in one"),
        (("--report", "--workdir", "/nowhere"), "workdir /nowhere: holds no experiment.json; run the experiment first"),
        (("--publish", "/"), "--publish /: exists already; name a new folder"),
        (("--config.batch_size=0",), "config.batch_size: expected a whole number, 1 or more; got 0"),
        (("--shrt",), "unknown option '--shrt': .*did you mean '--short'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said, out, _ = typed(monkeypatch, capsys, *options)

    assert re.match("hasnn experiment: " + message, said)
    assert "\n" not in said
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_experiment_is_told_the_nearest(monkeypatch, capsys):
    said, _, _ = typed(monkeypatch, capsys, name="tini")
    assert said.startswith("hasnn experiment: unknown experiment 'tini': ")
    assert said.endswith("did you mean 'tiny'?")


def test_without_a_name_they_are_listed_with_their_questions(monkeypatch, capsys):
    said, out, _ = typed(monkeypatch, capsys, name="")
    assert said is None
    assert [line.split()[0] for line in out.splitlines()] == list(EXPERIMENTS)


def test_a_folder_of_another_experiment_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    (tmp_path / "experiment.json").write_text(json.dumps({"experiment": "planes", "base": {}}))
    said, _, _ = typed(monkeypatch, capsys, "--workdir", tmp_path)

    assert said == (
        f"hasnn experiment: workdir {tmp_path}: holds the experiment 'planes', not 'tiny'; choose another --workdir"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["experiment.json"]


def test_a_folder_with_other_settings_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    before = json.dumps({"experiment": "tiny", "base": {"epochs": 7}})
    (tmp_path / "experiment.json").write_text(before)
    said, _, _ = typed(monkeypatch, capsys, "--workdir", tmp_path)

    assert "holds this experiment with other settings (batch_size is 16 there, 256 here, " in said
    assert (tmp_path / "experiment.json").read_text() == before


def test_a_run_with_other_settings_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    folder = write_run(tmp_path, "base", 5, 0.5)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    said, _, _ = typed(monkeypatch, capsys, "--workdir", tmp_path, "--variants", "base", "--seeds", "1")

    assert f"{folder}: holds a run with other settings (batch_size is 16 there, 256 here" in said
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

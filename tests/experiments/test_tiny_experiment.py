"""A whole experiment: what its report has, that it resumes after a kill, and that processes share it out."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import recomputed_report
import tiny_experiment
from typed_experiment import typed

from hasnn_jax.experiments.report import compute_report, publish
from hasnn_jax.experiments.report_text import TIMINGS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")]
SEEDS = ("--seeds", "2")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The workdir of a complete experiment, and what was said; tests must not change it."""
    workdir = tmp_path_factory.mktemp("finished")
    done = start(workdir).communicate()
    return workdir, done[1]


def start(workdir, *options):
    command = [sys.executable, tiny_experiment.__file__, "--workdir", str(workdir), *SEEDS, *options]
    environment = {**os.environ, "PYTHONPATH": str(tiny_experiment.ROOT)}
    return subprocess.Popen(
        command, cwd=tiny_experiment.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def timeless(workdir):
    """The report without the section in which two executions differ."""
    return (workdir / "report.md").read_text().partition(TIMINGS)[0]


def test_the_report_has_everything(finished):
    workdir, _ = finished
    report = (workdir / "report.md").read_text()
    sections = ["Outcome", "Accuracy", "Cost of an image", "Runs", "Settings", "Versions and machines", "Timings"]

    assert [line.removeprefix("## ") for line in report.splitlines() if line.startswith("## ")] == sections
    for text in (
        "Does it all work?", "The paper says: it does.", "For context: | 1 %.", "`optim.learning_rate=0.0001`",
        "`model.paths=['ann']`", "`epochs=2`",
        "explodes in 2 of 2 seeds", "| explodes | 0, 2 diverged |", "explodes, seed 6 | diverged at step 2: the loss",
        "jax ", "](curves.png)", "](tradeoff.png)",
    ):  # fmt: skip
        assert text in report
    for picture in ("curves.png", "tradeoff.png"):
        assert (workdir / picture).read_bytes().startswith(b"\x89PNG")


def test_every_number_follows_from_the_metrics(finished):
    recomputed_report.require_recomputable(finished[0])


def test_each_run_keeps_its_small_files_and_no_checkpoint(finished):
    workdir, _ = finished
    for variant in ("base", "slow"):
        for seed in (5, 6):
            files = {path.name for path in (workdir / "runs" / variant / f"seed_{seed}").iterdir()}
            assert {"config.json", "metrics.jsonl", "run.json", "cost.json"} <= files
            assert "checkpoints" not in files
    about = json.loads((workdir / "runs/base/seed_5/run.json").read_text())
    assert about["status"] == "complete"
    assert about.keys() >= {"versions", "commit", "processor", "cores", "devices", "date", "seconds"}


def test_it_says_which_run_of_how_many_and_what_is_left(finished):
    said = finished[1].splitlines()
    begun = [line.partition(";")[0] for line in said if line.startswith("run ")]
    names = [f"{variant}, seed {seed}" for seed in (5, 6) for variant in ("base", "explodes", "slow")]

    assert begun == [f"run {i} of 6: {name}" for i, name in enumerate(names, start=1)]
    assert all("left" in line for line in said if line.startswith("run 6"))
    assert said[-1] == f"report: {finished[0] / 'report.md'}"


def test_what_is_complete_is_not_run_again_and_gives_the_same_report(finished, tmp_path, monkeypatch, capsys):
    workdir = tmp_path / "copy"
    shutil.copytree(finished[0], workdir)
    before = (workdir / "report.md").read_bytes()
    message, _, said = typed(monkeypatch, capsys, "--workdir", workdir, *SEEDS)

    assert (message, said) == (None, f"report: {workdir / 'report.md'}\n")
    assert (workdir / "report.md").read_bytes() == before


def test_variants_with_a_seed_differ_in_their_overrides_alone_so_that_they_share_their_batches(finished):
    rates = [
        [
            (line["step"], line["epoch"])
            for line in recomputed_report.lines(finished[0] / f"runs/{variant}/seed_5", "train")
        ]
        for variant in ("base", "slow")
    ]
    configs = [json.loads((finished[0] / f"runs/{v}/seed_5/config.json").read_text()) for v in ("base", "slow")]

    assert rates[0] == rates[1]
    assert {key for key in configs[0] if configs[0][key] != configs[1][key]} == {"optim.learning_rate"}


def test_a_killed_experiment_goes_on_and_gives_the_same_report(finished, tmp_path):
    killed = start(tmp_path)
    second = tmp_path / "runs/slow/seed_5/metrics.jsonl"
    while not (second.exists() and second.read_text().count("\n") > 1):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "report.md").exists()
    again = start(tmp_path)
    assert "run 3 of 6: slow, seed 5" in again.communicate()[1]
    assert again.returncode == 0

    assert timeless(tmp_path) == timeless(finished[0])
    assert json.loads((tmp_path / "runs/slow/seed_5/run.json").read_text())["sessions"] == 2


def test_two_processes_share_the_runs_and_give_the_same_report(finished, tmp_path):
    processes = [start(tmp_path, "--part", f"{part}/2") for part in (1, 2)]
    said = [process.communicate()[1] for process in processes]
    begun = [[line.partition(": ")[2].partition(";")[0] for line in each.splitlines() if line.startswith("run ")]
             for each in said]  # fmt: skip

    assert [process.returncode for process in processes] == [0, 0]
    assert begun == [["base, seed 5", "slow, seed 5", "explodes, seed 6"],
                     ["explodes, seed 5", "base, seed 6", "slow, seed 6"]]  # fmt: skip
    assert timeless(tmp_path) == timeless(finished[0])


def test_what_is_published_has_the_same_report_and_can_be_checked(finished, tmp_path):
    publish(finished[0], tmp_path / "results/tiny")
    there = tmp_path / "results/tiny"

    assert (there / "report.md").read_bytes() == (finished[0] / "report.md").read_bytes()
    assert compute_report(there)[1] == (there / "report.md").read_text()
    assert {path.suffix for path in there.rglob("*") if path.is_file()} == {".json", ".jsonl", ".md", ".png"}
    recomputed_report.require_recomputable(there)


def test_an_unfinished_experiment_names_what_is_missing(finished, tmp_path, monkeypatch, capsys):
    workdir = tmp_path / "copy"
    shutil.copytree(finished[0], workdir)
    for run in ("runs/base/seed_6", "runs/slow/seed_5"):
        shutil.rmtree(workdir / run)
    message, _, _ = typed(monkeypatch, capsys, "--workdir", workdir, "--report")
    report = (workdir / "report.md").read_text()

    assert message is None
    assert "2 of 6 runs are missing: slow, seed 5; base, seed 6." in report
    assert "No other variant has a complete run with one of its seeds." in report
    recomputed_report.require_recomputable(workdir)

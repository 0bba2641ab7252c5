"""Processes that one command starts to share the runs out over the cores of a CPU."""

import json
import os
import signal
import subprocess
import sys
import time

import jax
import pytest
import tiny_experiment

from hasnn_jax.common.errors import InputError
from hasnn_jax.experiments.jobs import Jobs, available_cores
from hasnn_jax.experiments.report_text import TIMINGS

cores = len(available_cores())
needs_two_cores = pytest.mark.skipif(cores < 2, reason="a process for each core")


def start(workdir):
    """Of the catalogue, because the other processes know nothing of a test's own experiment."""
    command = [sys.executable, "-m", "hasnn_jax", "experiment", "training", *tiny_experiment.OPTIONS, "--seeds", "2"]
    choice = ["--variants", "as_configured,constant_rate", "--jobs", "2", "--workdir", str(workdir)]
    environment = {**os.environ, "PYTHONPATH": str(tiny_experiment.ROOT)}
    return subprocess.Popen([*command, *choice], env=environment, stderr=subprocess.PIPE, text=True)


def statuses(workdir):
    return [json.loads(file.read_text())["status"] for file in workdir.glob("runs/*/seed_*/run.json")]


@pytest.mark.slow
@needs_two_cores
def test_two_processes_share_the_runs_and_one_reports_them_all(tmp_path):
    process = start(tmp_path)
    said, log = process.communicate()[1], (tmp_path / "job_2.log").read_text()

    assert process.returncode == 0, said
    assert statuses(tmp_path) == ["complete"] * 4
    assert f"job 2 of 2 prints to {tmp_path / 'job_2.log'}" in said
    trained = [text.count("metrics, curves and checkpoints are in") for text in (said, log)]
    assert sum(trained) == 4
    assert all(trained)
    runs, _, timings = (tmp_path / "report.md").read_text().partition(TIMINGS)
    assert [text.count("| constant_rate, seed") for text in (runs, timings)] == [2, 2]


@pytest.mark.slow
@needs_two_cores
def test_an_interruption_stops_all_and_the_same_command_resumes(tmp_path):
    process = start(tmp_path)
    log = tmp_path / "job_2.log"
    deadline = time.monotonic() + 300
    while not (log.exists() and "steps to go" in log.read_text()):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert "resumes" in said
    assert len(statuses(tmp_path)) < 4  # each ends with the run that it was training
    assert "running" not in statuses(tmp_path)

    again = start(tmp_path)
    said = again.communicate()[1]
    assert again.returncode == 0, said
    assert statuses(tmp_path) == ["complete"] * 4


@pytest.mark.parametrize("count", [0, -1, cores + 1])
def test_there_is_a_core_for_each(count):
    with pytest.raises(InputError, match=f"--jobs: expected 1 to {cores}, a process for each core; got {count}"):
        Jobs(count)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the operating system has no such call")
def test_its_cores_are_its_own_only_while_it_is_used():
    before = os.sched_getaffinity(0)
    with Jobs(cores):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


@needs_two_cores
def test_on_another_device_it_says_how_to_share_the_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with Jobs(2) as jobs, pytest.raises(InputError, match=r"--jobs: .*CUDA_VISIBLE_DEVICES=1 hasnn experiment"):
        jobs.start(["experiment"], tmp_path)
    assert not list(tmp_path.iterdir())


def test_one_process_starts_no_other(tmp_path):
    with Jobs(1) as jobs:
        jobs.start(["experiment"], tmp_path)
        assert not jobs.wait()

"""Answers are kept, until something changes that they depend on."""

import subprocess
import sys

import pytest
from known_costs import COST, one_device
from tiny_runs import tiny_config

from hasnn_jax.planning import one_batch
from hasnn_jax.planning.cache import STEP_FILES, STEP_ROOMS, keep_outcome, read_outcome
from hasnn_jax.planning.compilation import Outcome
from hasnn_jax.planning.compiler_errors import Refusal


def test_answer_is_kept_until_something_it_depends_on_changes(tmp_path, monkeypatch):
    compiled = []

    def compile_step(lowered, devices, trips):
        compiled.append(1)
        return Outcome(COST, None, 1.0)

    def cached(**changes):
        return one_batch.plan(tiny_config(**changes), target, cache=tmp_path, say=pytest.fail)["cached"]

    target = one_device()
    monkeypatch.setattr(one_batch, "compile_step", compile_step)
    assert not cached()
    assert cached()
    assert cached(epochs=7, seed=1, log_every_steps=3, model__init_head="fresh", data__workers=2)
    for change in (
        {"batch_size": 128},
        {"accumulate": 2},
        {"shard_parameters": True},
        {"model__dtype": "bfloat16"},
        {"model__spiking__neuron": "lif"},
        {"optim__average_decay": 0.9},
        {"data__image_size": 16},
    ):
        assert not cached(**change)
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert not cached()
    (kept,) = (file for file in tmp_path.iterdir() if file.stat().st_mtime_ns == max(newest(tmp_path)))
    whole = kept.read_bytes()
    for damaged in (b"", whole[:-20], whole.replace(b"1500000000", b"1500000001"), b"\xff" + whole, b"[]", b"{}"):
        kept.write_bytes(damaged)
        assert not cached()
        assert kept.read_bytes() == whole
        assert cached()
    assert len(compiled) == 9 + 6


def test_all_code_behind_the_step_is_part_of_the_question():
    program = "import sys, hasnn_jax.planning.compilation; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    tops = {name.split(".")[1] for name in done.stdout.split() if name.startswith("hasnn_jax.")}
    # Settings are asked for by value; examples, weights and what serves them leave the step as it is.
    beside = {"config", "data", "errors", "fingerprint", "guarded_reading", "interop", "lock", "lookup"}
    assert tops - beside == {*STEP_ROOMS, *(name.removesuffix(".py") for name in STEP_FILES)}


def newest(folder):
    return [file.stat().st_mtime_ns for file in folder.iterdir()]


def test_folder_that_cannot_be_written_costs_no_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(one_batch, "compile_step", lambda *_: Outcome(COST, None, 1.0))
    said = []
    (tmp_path / "file").write_text("")
    found = one_batch.plan(tiny_config(), one_device(), cache=tmp_path / "file/plans", say=said.append)
    assert found["cost"]["cycles"] == COST.cycles
    assert "cannot be kept" in said[0]


def test_outcomes_come_back_as_they_were_kept(tmp_path):
    for outcome in (Outcome(COST, None, 2.5), Outcome(None, Refusal(2.5, None), 1.0)):
        keep_outcome(tmp_path / "a/b.json", outcome, pytest.fail)
        assert read_outcome(tmp_path / "a/b.json") == outcome
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.json"]
    assert read_outcome(tmp_path / "none.json") is None

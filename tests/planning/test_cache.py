"""Compilations are cached until something changes that they depend on."""

import shutil

import pytest
from known_costs import COST, PROFILE, one_device
from tiny_runs import tiny_config

from hasnn_jax.planning import one_batch
from hasnn_jax.planning.cache import PACKAGE, cache_key, read_outcome, write_outcome
from hasnn_jax.planning.compilation import Outcome
from hasnn_jax.planning.compiler_errors import Refusal


def test_outcome_is_cached_until_something_it_depends_on_changes(tmp_path, monkeypatch):
    compiled = []

    def compile_step(lower, devices, accumulation_steps):
        compiled.append(1)
        return Outcome(COST, None, 1.0)

    def cached(**changes):
        return one_batch.plan(tiny_config(**changes), target, cache=tmp_path, say=pytest.fail).cached

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
    (entry,) = (file for file in tmp_path.iterdir() if file.stat().st_mtime_ns == max(newest(tmp_path)))
    whole = entry.read_bytes()
    for damaged in (b"", whole[:-20], whole.replace(b"1500000000", b"1500000001"), b"\xff" + whole, b"[]", b"{}"):
        entry.write_bytes(damaged)
        assert not cached()
        assert entry.read_bytes() == whole
        assert cached()
    assert len(compiled) == 9 + 6


def test_key_changes_with_any_file_of_the_package(tmp_path):
    def key():
        return cache_key(config, target, 1, package)

    config, target, package = tiny_config(), one_device(), tmp_path / "hasnn_jax"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    original = key()
    assert original == cache_key(config, target, 1)
    files = sorted(package.rglob("*.py"))
    assert {"config.py", "hlo_parser.py", "steps.py", "program.py", "hybrid.py"} <= {file.name for file in files}
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content + b"#")
        assert key() != original, file
        file.write_bytes(content)
    assert key() == original
    files[0].rename(files[0].with_name("renamed.py"))
    assert key() != original


def newest(folder):
    return [file.stat().st_mtime_ns for file in folder.iterdir()]


def test_plan_is_made_although_it_cannot_be_cached(tmp_path, monkeypatch):
    monkeypatch.setattr(one_batch, "compile_step", lambda *_: Outcome(COST, None, 1.0))
    said = []
    (tmp_path / "file").write_text("")
    found = one_batch.plan(tiny_config(), one_device(), cache=tmp_path / "file/plans", say=said.append)
    assert found.outcome.cost.cycles == COST.cycles
    assert "cannot be cached" in said[0]


def test_outcomes_are_read_as_they_were_written(tmp_path):
    for outcome in (
        Outcome(COST, None, 2.5),
        Outcome(COST, None, 2.5, PROFILE),
        Outcome(None, Refusal(2.5, None), 1.0),
    ):
        write_outcome(tmp_path / "a/b.json", outcome, pytest.fail)
        assert read_outcome(tmp_path / "a/b.json") == outcome
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.json"]
    assert read_outcome(tmp_path / "none.json") is None

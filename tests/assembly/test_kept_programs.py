"""Programs that the next start finds in files: the same results, nothing traced, and nothing found that has changed."""

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import assert_trees_equal, records, tiny_config

from hasnn_jax.assembly import kept_programs, run_setup
from hasnn_jax.assembly.kept_programs import KeptPrograms
from hasnn_jax.assembly.run_setup import set_up
from hasnn_jax.runs.evaluate import evaluate_weights
from hasnn_jax.runs.train import train_and_evaluate
from hasnn_jax.training import steps

X = np.arange(3, dtype=np.float32)


class Results(NamedTuple):
    doubled: jax.Array
    names: dict


class Counted:
    """A function that counts how often it is traced."""

    def __init__(self):
        self.traced = 0

    def __call__(self, x):
        self.traced += 1
        return Results(2 * x, {"sum": x.sum()})


def traces(folder, config=None, *made_from, name="double", x=X):
    """How often a start traces the function: 0 if it was kept."""
    function = Counted()
    found = KeptPrograms(folder, config or tiny_config(), *made_from).keep(name, function, jit=jax.jit)(x)
    assert isinstance(found, Results)
    assert_trees_equal(found, Results(2 * x, {"sum": x.sum()}))
    return function.traced


def test_the_next_start_does_not_trace(tmp_path):
    assert traces(tmp_path) > 0
    assert traces(tmp_path) == 0


def test_shapes_of_the_results_need_no_tracing_either(tmp_path):
    for kept in (False, True):
        function = Counted()
        program = KeptPrograms(tmp_path, tiny_config()).keep("double", function, jit=jax.jit)
        found = program.shapes(X)
        assert (found.doubled.shape, found.names["sum"].dtype) == ((3,), np.float32)
        program(X)
        assert (function.traced == 0) == kept


@pytest.mark.parametrize(
    "changes",
    [{"optim__learning_rate": 0.1}, {"model__spiking__planes": 4}, {"epochs": 3}, {"data__num_classes": 11}],
    ids=str,
)
def test_other_settings_are_other_programs(tmp_path, changes):
    traces(tmp_path)
    assert traces(tmp_path, tiny_config(**changes)) > 0


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"log_every_steps": 7}, {"data__data_dir": "elsewhere"}, {"keep_best": 3}, {"loggers": ()}],
    ids=str,
)
def test_settings_that_no_program_depends_on(tmp_path, changes):
    traces(tmp_path)
    assert traces(tmp_path, tiny_config(**changes)) == 0


def test_the_seed_is_part_of_a_program_that_mixes_images(tmp_path):
    traces(tmp_path, tiny_config(optim__mixup=0.2))
    assert traces(tmp_path, tiny_config(optim__mixup=0.2, seed=1)) > 0


def test_other_names_arguments_and_origins_are_other_programs(tmp_path):
    traces(tmp_path)
    assert traces(tmp_path, name="another") > 0
    assert traces(tmp_path, x=X[:2]) > 0
    assert traces(tmp_path, x=X.astype(np.int32)) > 0
    assert traces(tmp_path, None, (8, 8, 1)) > 0


def test_other_code_and_other_surroundings_are_other_programs(tmp_path, monkeypatch):
    traces(tmp_path)
    before = jax.config.jax_default_matmul_precision
    jax.config.update("jax_default_matmul_precision", "highest")
    try:
        assert traces(tmp_path) > 0
    finally:
        jax.config.update("jax_default_matmul_precision", before)
    assert traces(tmp_path) == 0
    monkeypatch.setattr(kept_programs, "code_digest", lambda: "changed")
    assert traces(tmp_path) > 0
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--changed")
    assert traces(tmp_path) > 0
    monkeypatch.setattr(kept_programs, "version", lambda name: f"{name} 99")
    assert traces(tmp_path) > 0


def test_what_is_remembered_is_found_once(tmp_path):
    found = [KeptPrograms(tmp_path, tiny_config()).remember("cost", lambda i=i: {"number": i}) for i in range(3)]
    assert found == [{"number": 0}] * 3
    assert KeptPrograms(tmp_path, tiny_config(), (8, 8, 3)).remember("cost", lambda: 4) == 4
    assert KeptPrograms(None, tiny_config()).remember("cost", lambda: 5) == 5


@pytest.mark.parametrize("content", [b"", b"short", bytes(200)], ids=["empty", "short", "zeros"])
def test_a_damaged_file_is_replaced(tmp_path, content):
    traces(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert traces(tmp_path) > 0
    assert traces(tmp_path) == 0


def test_a_folder_that_cannot_be_written_costs_a_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert traces(tmp_path / "file" / "programs") > 0
    assert "cannot be kept in" in capsys.readouterr().err


def test_what_was_not_used_for_longest_makes_room(tmp_path, monkeypatch):
    for number, name in enumerate(("oldest", "older", "used again")):
        traces(tmp_path, name=name)
        (new,) = (file for file in tmp_path.iterdir() if file.stat().st_mtime > 10)
        os.utime(new, (number, number))
    traces(tmp_path, name="oldest")
    size = max(file.stat().st_size for file in tmp_path.iterdir())
    monkeypatch.setattr(kept_programs, "LARGEST_FOLDER", 3 * size)
    traces(tmp_path, name="newest")
    assert len(list(tmp_path.iterdir())) == 3
    kept = {name: traces(tmp_path, name=name) == 0 for name in ("oldest", "used again", "newest")}
    assert kept == dict.fromkeys(kept, True)


def test_the_first_argument_is_donated(tmp_path):
    for _ in range(2):
        x = jnp.ones(3)
        KeptPrograms(tmp_path, tiny_config()).keep("double", jax.jit(lambda x: 2 * x), donates=True)(x)
        assert x.is_deleted()


@pytest.mark.parametrize("setting", ["jax_debug_nans", "jax_disable_jit"])
def test_nothing_is_kept_where_jax_debugs(tmp_path, setting):
    before = getattr(jax.config, setting)
    jax.config.update(setting, True)
    try:
        KeptPrograms(tmp_path, tiny_config()).keep("double", jax.jit(lambda x: 2 * x))(X)
    finally:
        jax.config.update(setting, before)
    assert not list(tmp_path.iterdir())


def test_initial_variables_are_those_of_the_seed(tmp_path):
    for seed in (0, 2**32 - 1):
        config = tiny_config(seed=seed)
        assert_trees_equal(set_up(config, tmp_path).initialise(), set_up(config).initialise())
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_a_run_from_kept_programs_is_the_same_to_the_bit(tmp_path, monkeypatch):
    def train(name, programs):
        train_and_evaluate(tiny_config(), tmp_path / name, programs=programs)
        return records(tmp_path / name)

    plain = train("plain", None)
    assert train("first", tmp_path / "programs") == plain

    def refuse(*_, **__):
        pytest.fail("traced")

    monkeypatch.setattr(steps, "train_step", refuse)
    monkeypatch.setattr(run_setup, "initial_variables", refuse)
    monkeypatch.setattr("hasnn_jax.runs.evaluate.evaluation_step", refuse)
    monkeypatch.setattr("hasnn_jax.runs.measured.model_cost", refuse)
    assert train("second", tmp_path / "programs") == plain
    evaluated = evaluate_weights(tiny_config(), tmp_path / "second", programs=tmp_path / "programs")
    assert evaluated["loss"] == plain[-1]["loss"]

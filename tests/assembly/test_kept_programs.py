"""Programs that the next start finds in files: the same results, not traced again, and none that has changed."""

import contextlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import mesh_of
from tiny_runs import assert_trees_equal, records, tiny_config

from hasnn_jax.assembly import kept_programs, run_setup
from hasnn_jax.assembly.kept_programs import KeptPrograms
from hasnn_jax.assembly.run_setup import set_up
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.memory_layout import for_activation
from hasnn_jax.runs.evaluate import evaluate_weights
from hasnn_jax.runs.train import train_and_evaluate
from hasnn_jax.training import sharding, steps

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


def kept_in(folder, config=None, *made_from):
    return KeptPrograms(folder, config or tiny_config(), sharding.replicated(sharding.make_mesh()), *made_from)


def traces(folder, config=None, *made_from, name="double", x=X):
    """How often a start traces the function: 0 if it was kept."""
    function = Counted()
    found = kept_in(folder, config, *made_from).keep(name, jax.jit(function))(x)
    assert isinstance(found, Results)
    assert_trees_equal(found, Results(2 * x, {"sum": x.sum()}))
    return function.traced


def test_the_next_start_does_not_trace(tmp_path):
    assert traces(tmp_path) > 0
    assert traces(tmp_path) == 0


def test_programs_for_tpus_which_ask_for_layouts_are_kept_as_well(tmp_path):
    ask = compile_for(mesh_of("tpu"), for_activation)
    x = np.arange(8.0 * 8 * 6, dtype=np.float32).reshape(8, 1, 8, 2, 3, 1)
    for _ in range(2):
        assert_trees_equal(kept_in(tmp_path).keep("ask", jax.jit(ask))(x), x)


def test_shapes_of_the_results_need_no_tracing_either(tmp_path):
    for kept in (False, True):
        function = Counted()
        program = kept_in(tmp_path).keep("double", jax.jit(function))
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
    for variable in ("XLA_FLAGS", "LIBTPU_INIT_ARGS"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "--changed")
            assert traces(tmp_path) > 0
    for number, part in enumerate(kept_programs._CODE):
        changed = list(kept_programs._CODE)
        changed[number] = f"not {part}"
        monkeypatch.setattr(kept_programs, "_CODE", changed)
        assert traces(tmp_path) > 0


def test_code_is_that_which_this_process_runs_whatever_is_edited_meanwhile(tmp_path, monkeypatch):
    traces(tmp_path)
    monkeypatch.setattr(kept_programs, "code_digest", lambda: "edited")
    monkeypatch.setattr(kept_programs, "version", lambda name: "installed meanwhile")
    assert traces(tmp_path) == 0


def test_what_is_remembered_is_found_once(tmp_path):
    found = [kept_in(tmp_path).remember("cost", lambda i=i: {"number": i}) for i in range(3)]
    assert found == [{"number": 0}] * 3
    assert kept_in(tmp_path, None, (8, 8, 3)).remember("cost", lambda: 4) == 4
    assert kept_in(None).remember("cost", lambda: 5) == 5


def test_the_first_argument_is_donated(tmp_path):
    for _ in range(2):
        x = jnp.ones(3)
        kept_in(tmp_path).keep("double", jax.jit(lambda x: 2 * x), donates=True)(x)
        assert x.is_deleted()


def test_options_for_the_compiler_hold_at_every_start(tmp_path):
    options = {"xla_backend_optimization_level": 1}
    for _ in range(2):
        double = jax.jit(lambda x: 2 * x, compiler_options=options)
        np.testing.assert_array_equal(kept_in(tmp_path).keep("double", double, compiler_options=options)(X), 2 * X)
    with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
        kept_in(tmp_path).keep("double", double, compiler_options={"no_such_option": 1})(X)


@contextlib.contextmanager
def compilations(name):
    """A list that grows with every compilation of the program of that name, cached or not."""
    found = []

    def listen(event, seconds, fun_name=None, **_):
        if event.endswith("backend_compile_duration") and fun_name == f"jit({name})":
            found.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_steps_that_pass_their_state_on_are_compiled_once(tmp_path):
    over_batch = sharding.over_batch(sharding.make_mesh())
    for _ in range(2):
        begin = kept_in(tmp_path).keep("begin", jax.jit(jnp.zeros_like))
        step = kept_in(tmp_path).keep("step", jax.jit(lambda state, x: (state + x, x.sum())), donates=True)
        state = begin(X)
        with compilations("step") as found:
            for _ in range(3):
                state, _ = step(state, jax.device_put(X, over_batch))
        assert state.tolist() == [0, 3, 6]
        assert len(found) == 1


@pytest.mark.parametrize("setting", ["jax_debug_nans", "jax_disable_jit"])
def test_nothing_is_kept_where_jax_debugs(tmp_path, setting):
    before = getattr(jax.config, setting)
    jax.config.update(setting, True)
    try:
        kept_in(tmp_path).keep("double", jax.jit(lambda x: 2 * x))(X)
    finally:
        jax.config.update(setting, before)
    assert not list(tmp_path.iterdir())


def test_nothing_is_kept_of_several_devices(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 2)
    assert traces(tmp_path) > 0
    assert not list(tmp_path.iterdir())


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path):
    traces(tmp_path)
    tmp_path.chmod(0o777)
    assert traces(tmp_path) > 0


def test_initial_variables_are_those_of_the_seed(tmp_path):
    for seed in (0, 2**32 - 1):
        config = tiny_config(seed=seed)
        assert_trees_equal(set_up(config, tmp_path).initialise(), set_up(config).initialise())
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_every_start_of_a_kept_run_is_the_same_to_the_bit_and_nothing_is_traced_again(tmp_path, monkeypatch):
    def train(name, programs):
        train_and_evaluate(tiny_config(), tmp_path / name, keep_programs_in=programs)
        return records(tmp_path / name)

    with compilations("train_step") as found:
        first = train("first", tmp_path / "programs")
    assert len(found) == 1
    # To XLA it is another program than one that is not kept, which may round in another order.
    assert [record["loss"] for record in train("plain", None)] == pytest.approx([r["loss"] for r in first], rel=1e-4)

    def refuse(*_, **__):
        pytest.fail("traced")

    monkeypatch.setattr(steps, "train_step", refuse)
    monkeypatch.setattr(run_setup, "initial_variables", refuse)
    monkeypatch.setattr("hasnn_jax.runs.evaluate.evaluation_step", refuse)
    monkeypatch.setattr("hasnn_jax.runs.measured.model_cost", refuse)
    assert train("second", tmp_path / "programs") == first
    evaluated = evaluate_weights(tiny_config(), tmp_path / "second", keep_programs_in=tmp_path / "programs")
    assert evaluated["loss"] == first[-1]["loss"]

"""Checkpoints give back what was put in, and no more of them are kept than asked for."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hasnn_jax.training import sharding
from hasnn_jax.training.checkpoints import Checkpoints
from hasnn_jax.training.state import TrainState, create_state


@pytest.fixture(scope="module")
def everywhere():
    return sharding.replicated(sharding.make_mesh())


def make_state(everywhere, step=0, seed=0):
    """A state with every dtype and the nesting that a run has, and awkward values."""
    rng = np.random.default_rng(seed)
    params = {
        "stem": {"kernel": jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)},
        "head": {"kernel": jnp.asarray(rng.normal(size=5), jnp.bfloat16), "bias": jnp.array([0.0, -0.0, 1e-45, 3e38])},
    }
    optimizer = optax.chain(optax.add_decayed_weights(1e-3), optax.adam(1e-3))
    state = create_state({"params": params, "batch_stats": {"norm": {"mean": jnp.zeros(2)}}}, optimizer, seed)
    _, opt_state = optimizer.update(jax.tree.map(jnp.ones_like, params), state.opt_state, params)
    return jax.device_put(state.replace(step=jnp.int32(step), opt_state=opt_state), everywhere)


def assert_bit_identical(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def steps_in(directory):
    return sorted(int(path.name) for path in directory.iterdir())


def test_a_new_directory_has_no_checkpoint(tmp_path):
    with Checkpoints(tmp_path / "run" / "checkpoints", keep=2) as checkpoints:
        assert checkpoints.latest_step is None


def test_a_state_comes_back_bit_by_bit_where_it_is_asked_for(tmp_path, everywhere):
    state = make_state(everywhere, step=7)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert checkpoints.latest_step == 7
        restored = checkpoints.restore(make_state(everywhere, seed=1), everywhere)
    assert isinstance(restored, TrainState)
    assert_bit_identical(restored, state)
    for leaf in jax.tree.leaves(restored):
        assert leaf.sharding.is_equivalent_to(everywhere, leaf.ndim)


def test_the_newest_state_is_restored(tmp_path, everywhere):
    states = [make_state(everywhere, step=step, seed=step) for step in (3, 20, 100)]
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        for state in states:
            checkpoints.save(state)
        assert checkpoints.latest_step == 100
        assert_bit_identical(checkpoints.restore(states[0], everywhere), states[2])


@pytest.mark.parametrize("keep", [1, 2, 9])
def test_the_latest_ones_are_kept(tmp_path, everywhere, keep):
    with Checkpoints(tmp_path, keep) as checkpoints:
        for step in (1, 2, 3, 10, 11):
            checkpoints.save(make_state(everywhere, step))
    assert steps_in(tmp_path) == [1, 2, 3, 10, 11][-keep:]


def test_a_saved_state_may_be_overwritten_in_memory_at_once(tmp_path, everywhere):
    advance = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
    state = make_state(everywhere, step=5)
    expected = jax.tree.map(np.array, state)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state)
        advance(state)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert_bit_identical(checkpoints.restore(make_state(everywhere), everywhere), expected)


def test_saving_the_same_step_twice_keeps_the_first(tmp_path, everywhere):
    first = make_state(everywhere, step=4, seed=0)
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(first)
        checkpoints.save(make_state(everywhere, step=4, seed=1))
    with Checkpoints(tmp_path, keep=2) as checkpoints:  # as after a restart
        checkpoints.save(make_state(everywhere, step=4, seed=2))
        assert_bit_identical(checkpoints.restore(first, everywhere), first)
    assert steps_in(tmp_path) == [4]


def test_a_half_written_checkpoint_is_removed_and_the_one_before_it_used(tmp_path, everywhere):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(make_state(everywhere, step=4))
    half = shutil.copytree(tmp_path / "4", tmp_path / "9.orbax-checkpoint-tmp")  # as a kill during the save leaves it
    next(file for file in half.rglob("*") if file.is_file()).unlink()
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest_step == 4
        checkpoints.save(make_state(everywhere, step=12))
        assert checkpoints.latest_step == 12
    assert steps_in(tmp_path) == [4, 12]

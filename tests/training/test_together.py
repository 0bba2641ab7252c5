import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear_model import draw, linear, update
from meshes import mesh_of

from hasnn_jax.training import together
from hasnn_jax.training.state import create_state
from hasnn_jax.training.together import pays_off, written_together


def test_arrays_written_together_keep_values_shapes_and_dtypes():
    tree = {"a": jnp.arange(6.0).reshape(2, 3), "b": [jnp.asarray(7.0), jnp.arange(4)], "c": jnp.ones((0, 3)), "d": {}}
    read, long = jax.jit(written_together)(tree)

    jax.tree.map(np.testing.assert_array_equal, read, tree)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), read) == jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert sorted((x.dtype.name, x.size) for x in long) == [("float32", 7), ("int32", 4)]


def test_of_very_many_arrays_some_are_written_together(monkeypatch):
    monkeypatch.setattr(together, "MOST_TOGETHER", 3)
    tree = [jnp.full((i, 2), i, jnp.float32) for i in range(1, 8)]
    read, long = jax.jit(written_together)(tree)

    jax.tree.map(np.testing.assert_array_equal, read, tree)
    assert [x.size for x in long] == [2 * (1 + 2 + 3), 2 * (4 + 5 + 6), 2 * 7]


def test_no_array_is_written_together_with_no_other():
    assert written_together({"a": {}}) == ({"a": {}}, [])


def with_a_mean(variables, images, **how):
    """The linear model, with another running value beside its count of calls."""
    logits, updates = linear(variables, images, **how)
    updates["batch_stats"]["mean"] = variables["batch_stats"]["mean"] / 2
    return logits, updates


@pytest.mark.parametrize("make", [optax.sgd, optax.adam])
def test_a_step_is_the_same_if_its_gradients_are_written_together(make):
    variables, batch = draw()
    variables = {**variables, "batch_stats": {"calls": jnp.asarray(3), "mean": jnp.asarray(5.0)}}
    optimizer = optax.chain(optax.clip_by_global_norm(0.1), make(0.5))
    state = create_state(variables, optimizer, averaged=True)

    def after(at_once):
        step = functools.partial(update, optimizer=optimizer, apply=with_a_mean, average_decay=0.9, together=at_once)
        return jax.jit(step)(state, batch)

    found, expected = after(True), after(False)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), found, expected)
    assert found[0].batch_stats["calls"] == 4


@pytest.mark.parametrize(
    ("platform", "fully_sharded", "expected"),
    [("cuda", False, True), ("gpu", False, True), ("cuda", True, False), ("tpu", False, False), ("cpu", False, False)],
)
def test_it_pays_off_on_gpus_unless_the_arrays_are_sharded(platform, fully_sharded, expected):
    assert pays_off(mesh_of(platform), fully_sharded=fully_sharded) == expected

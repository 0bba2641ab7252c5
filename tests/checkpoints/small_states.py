"""Small train states with all that a run's has, and checkpoints of them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hasnn_jax.checkpoints.restoring import restore_newest
from hasnn_jax.checkpoints.saving import Checkpoints
from hasnn_jax.training.state import create_state


def make_state(everywhere, step=0, seed=0):
    """A state with every dtype and the nesting that a run has, and awkward values."""
    rng = np.random.default_rng(seed)
    params = {
        "stem": {"kernel": jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)},
        "head": {"kernel": jnp.asarray(rng.normal(size=5), jnp.bfloat16), "bias": jnp.array([0.0, -0.0, 1e-45, 3e38])},
    }
    optimizer = optax.chain(optax.add_decayed_weights(1e-3), optax.adam(1e-3))
    state = create_state({"params": params, "batch_stats": {"norm": {"mean": jnp.zeros(2)}}}, optimizer)
    _, opt_state = optimizer.update(jax.tree.map(jnp.ones_like, params), state.opt_state, params)
    return jax.device_put(state.replace(step=jnp.int32(step), opt_state=opt_state), everywhere)


def restore(directory, like, everywhere, say=lambda _: None):
    return restore_newest(directory, like, jax.tree.map(lambda _: everywhere, like), say)


def assert_bit_identical(first, second):
    assert jax.tree.structure(first) == jax.tree.structure(second)
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def two_checkpoints(folder, everywhere):
    with Checkpoints(folder / "checkpoints", keep=2, keep_best=1) as checkpoints:
        for step in (4, 9):
            checkpoints.save(make_state(everywhere, step, seed=step), accuracy=step / 10)

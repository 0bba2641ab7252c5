"""A linear classifier that is called as a Flax module's `apply` is, and a batch for it."""

import functools

import jax.numpy as jnp
import numpy as np

from hasnn_jax.training.steps import gradients, train_step

CLASSES = 3


def linear(variables, images, *, train, mutable=()):
    """A linear classifier in the manner of a Flax module; it counts its training calls in its statistics."""
    params = variables["params"]
    flat = images.reshape(len(images), -1)
    logits = flat @ params["kernel"] + params["bias"][None]
    if not train:
        return logits
    assert mutable == ["batch_stats"]
    return logits, {"batch_stats": {"calls": variables["batch_stats"]["calls"] + 1}}


def draw(seed=0, count=6):
    rng = np.random.default_rng(seed)
    params = {
        "kernel": jnp.asarray(rng.normal(size=(8, CLASSES)), jnp.float32),
        "bias": jnp.asarray(rng.normal(size=CLASSES), jnp.float32),
    }
    batch = {
        "image": rng.integers(0, 256, (count, 2, 2, 2), dtype=np.uint8),
        "label": rng.integers(0, CLASSES, count).astype(np.int32),
        "replaced": rng.random(count) < 0.5,
    }
    return {"params": params, "batch_stats": {"calls": jnp.zeros((), jnp.int32)}}, batch


def update(state, batch, optimizer, *, apply=linear, average_decay=None, together=False, **how):
    """One step of `train_step` by the gradients of a model."""
    of_model = functools.partial(gradients, apply=apply, **how)
    return train_step(
        state, batch, gradients=of_model, optimizer=optimizer, average_decay=average_decay, together=together
    )

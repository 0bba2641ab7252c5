"""One training step and one evaluation step, as pure functions of state and batch."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from hasnn_jax.training.state import TrainState

Apply = Callable[..., Any]  # a Flax module's `apply`
Batch = Mapping[str, Array]
Metrics = dict[str, Array]


def unit_images(images: Array) -> Array:
    """uint8 in 0..255 -> float32 in [0, 1], correctly rounded, so that 255 times it is the byte again."""
    values = images.astype(jnp.float32)
    # By a constant XLA would not divide but multiply, with the constant's rounded inverse.
    return values / jax.lax.optimization_barrier(jnp.full_like(values, 255))


def cross_entropy(logits: Array, labels: Array, smoothing: float = 0.0) -> Array:
    """Softmax cross-entropy of each example: logits [B, N], labels [B] in 0..N-1 -> [B].

    `smoothing` is the share of the target's probability that is spread over all N classes, as in PyTorch.
    """
    targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype), smoothing)
    return optax.softmax_cross_entropy(logits, targets)


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    apply: Apply,
    optimizer: optax.GradientTransformation,
    label_smoothing: float = 0.0,
) -> tuple[TrainState, Metrics]:
    """One update on a batch {"image": uint8 [B, H, W, C], "label": int32 [B]}.

    Returns the next state and the batch's mean loss, accuracy and gradient norm before clipping.
    """

    def loss_of(params):
        variables = {"params": params, "batch_stats": state.batch_stats}
        logits, updates = apply(variables, unit_images(batch["image"]), train=True, mutable=["batch_stats"])
        loss = jnp.mean(cross_entropy(logits, batch["label"], label_smoothing))
        return loss, (logits, updates.get("batch_stats", {}))

    (loss, (logits, batch_stats)), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    metrics = {
        "loss": loss,
        "accuracy": jnp.mean(jnp.argmax(logits, -1) == batch["label"]),
        "gradient_norm": optax.tree.norm(gradients),
    }
    params = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, params, batch_stats, opt_state, state.key), metrics


def evaluation_step(variables: Mapping[str, Any], batch: Batch, *, apply: Apply) -> Metrics:
    """Sums over a batch's real examples ("mask" [B] is 1): "loss", "correct" and "count"."""
    logits = apply(variables, unit_images(batch["image"]), train=False)
    real = batch["mask"]
    return {
        "loss": jnp.sum(jnp.where(real, cross_entropy(logits, batch["label"]), 0)),
        "correct": jnp.sum(real & (jnp.argmax(logits, -1) == batch["label"])),
        "count": jnp.sum(real),
    }

"""One training step and one evaluation step, as pure functions of state and batch."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from hasnn_jax.training.state import TrainState, Window

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


def gradients(
    params: Any, batch_stats: Any, batch: Batch, *, apply: Apply, label_smoothing: float = 0.0, parts: int = 1
) -> tuple[Any, Any, Metrics]:
    """Gradients of the mean loss over a batch {"image": uint8 [B, H, W, C], "label": int32 [B], "replaced": bool [B]}.

    Args:
      params, batch_stats: the model's variables.
      batch: as above; batch statistics are shared by no more examples than a part has.
      apply: a Flax module's `apply`.
      label_smoothing: see `cross_entropy`.
      parts: how many parts of consecutive examples are gone through one after the other, in as much less memory.

    Returns:
      (gradients, the statistics tracked anew, sums over the batch: "loss", "correct", and "replaced", all floating).
    """

    def loss_of(params, part):
        variables = {"params": params, "batch_stats": batch_stats}
        logits, updates = apply(variables, unit_images(part["image"]), train=True, mutable=["batch_stats"])
        losses = cross_entropy(logits, part["label"], label_smoothing)
        sums = {
            "loss": jnp.sum(losses),
            "correct": jnp.sum(jnp.argmax(logits, -1) == part["label"], dtype=losses.dtype),
            "replaced": jnp.sum(part["replaced"], dtype=losses.dtype),
        }
        return jnp.mean(losses), (updates.get("batch_stats", {}), sums)

    def of_part(part):
        grads, (tracked, sums) = jax.grad(loss_of, has_aux=True)(params, part)
        return grads, tracked, sums

    if parts == 1:
        return of_part(batch)
    divided = jax.tree.map(lambda x: x.reshape((parts, x.shape[0] // parts, *x.shape[1:])), batch)
    shapes = jax.eval_shape(lambda parts: of_part(jax.tree.map(lambda x: x[0], parts)), divided)
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    # Sums go along, so that beside them no more than one part's gradients are held.
    totals, _ = jax.lax.scan(lambda sums, part: (jax.tree.map(jnp.add, sums, of_part(part)), None), nothing, divided)
    grads, tracked, sums = totals
    return jax.tree.map(lambda x: x / parts, grads), jax.tree.map(lambda x: _divide(x, parts), tracked), sums


def _divide(x: Array, parts: int) -> Array:
    return x // parts if jnp.issubdtype(x.dtype, jnp.integer) else x / parts


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    gradients: Callable[..., tuple[Any, Any, Metrics]],
    optimizer: optax.GradientTransformation,
    average_decay: float | None = None,
) -> tuple[TrainState, Metrics]:
    """One update on a batch.

    Args:
      state: is not used again; give its memory away by `donate_argnums`.
      batch: see `gradients`.
      gradients: (params, batch_stats, batch) -> (gradients, batch_stats, sums), as the function of this name.
      optimizer: of the state's `opt_state`.
      average_decay: share of the old average in the new one, once 10 / (1 - decay) steps or so are done; less before.

    Returns:
      (the next state, {"loss": mean over the batch, "accuracy", "gradient_norm": before clipping}); the state's window
      holds these too.
    """
    grads, batch_stats, sums = gradients(state.params, state.batch_stats, batch)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    step = state.step + 1
    average = state.average
    if average_decay is not None:
        # Early on the first weights, which are random, must not stay in the average.
        decay = jnp.minimum(average_decay, (1 + step) / (10 + step))
        average = jax.tree.map(lambda old, new: old + (1 - decay).astype(old.dtype) * (new - old), average, params)
    examples = batch["label"].shape[0]
    measured = {
        "loss": sums["loss"] / examples,
        "accuracy": sums["correct"] / examples,
        "gradient_norm": optax.tree.norm(grads),
    }
    state = TrainState(
        step=step,
        params=params,
        batch_stats=batch_stats,
        opt_state=opt_state,
        average=average,
        window=_widened(state.window, step, measured, sums["replaced"]),
        key=state.key,
    )
    return state, measured


def _widened(window: Window, step: Array, measured: Metrics, replaced: Array) -> Window:
    """The window with one more step in it."""
    finite = jnp.isfinite(measured["loss"]) & jnp.isfinite(measured["gradient_norm"])
    first = jnp.where((window["diverged"] == 0) & ~finite, step, window["diverged"])
    sums = {name: window[name] + value.astype(jnp.float32) for name, value in measured.items()}
    counts = {"steps": window["steps"] + 1, "replaced": window["replaced"] + replaced.astype(jnp.int32)}
    return {**sums, **counts, "diverged": first}


def evaluation_step(variables: Mapping[str, Any], batch: Batch, *, apply: Apply) -> Metrics:
    """Sums over a batch's real examples ("mask" [B] is 1): "loss", "correct", "count"; and "replaced" ones."""
    logits = apply(variables, unit_images(batch["image"]), train=False)
    real = batch["mask"]
    return {
        "loss": jnp.sum(jnp.where(real, cross_entropy(logits, batch["label"]), 0)),
        "correct": jnp.sum(real & (jnp.argmax(logits, -1) == batch["label"])),
        "count": jnp.sum(real),
        "replaced": jnp.sum(batch["replaced"]),
    }

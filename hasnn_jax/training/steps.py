"""One training step and one evaluation step, as pure functions of state and batch."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.typing import ArrayLike

from hasnn_jax.training.mixing import Mix, mix_images, mix_labels
from hasnn_jax.training.state import TrainState, Window
from hasnn_jax.training.together import written_together

Apply = Callable[..., Any]  # a Flax module's `apply`
Batch = Mapping[str, Array]
Metrics = dict[str, Array]


def unit_images(images: ArrayLike) -> Array:
    """uint8 in 0..255 -> float32 in [0, 1], correctly rounded, so that 255 times the result is the byte again."""
    values = jnp.asarray(images, jnp.float32)
    # XLA turns a division by a constant into a multiplication by its rounded inverse. So this is 255, but hides it.
    zero = jax.lax.optimization_barrier(jnp.zeros((), values.dtype))
    return values / (255 + zero * values)


def cross_entropy(logits: Array, labels: Array, smoothing: float = 0.0) -> Array:
    """Softmax cross-entropy of each example: logits [B, N], labels [B] in 0..N-1 or soft targets [B, N] -> [B].

    `smoothing` is the share of the label's probability that is spread over all N classes, as in PyTorch.
    """
    if labels.ndim == 1:
        labels = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return optax.softmax_cross_entropy(logits, optax.smooth_labels(labels.astype(logits.dtype), smoothing))


def gradients(
    params: Any,
    batch_stats: Any,
    batch: Batch,
    mix: Mix | None = None,
    *,
    apply: Apply,
    label_smoothing: float = 0.0,
    accumulation_steps: int = 1,
    mix_group: int | None = None,
) -> tuple[Any, Any, Metrics]:
    """Gradients of the mean loss over a batch {"image": uint8 [B, H, W, C], "label": int32 [B], "replaced": bool [B]}.

    Args:
      params, batch_stats: the model's variables.
      batch: as above.
      mix: how each image is mixed with another one; see `mixing`. None: images and labels stay as they are.
      apply: a Flax module's `apply`.
      label_smoothing: see `cross_entropy`.
      accumulation_steps: how many equal parts of consecutive examples the batch is computed in, one after the other, to
        save memory. Batch statistics are those of a part.
      mix_group: how many consecutive examples are mixed among themselves, a divisor of a part's; None: all of a part.

    Returns:
      (gradients, the updated batch_stats, sums over the batch: "loss", "correct" and "replaced", all floating). Of a
      mixed image, "correct" counts the label with the greater share.
    """

    def mean_loss(params, part):
        variables = {"params": params, "batch_stats": batch_stats}
        images, labels = unit_images(part["image"]), part["label"]
        if mix is not None:
            images = mix_images(images, mix, mix_group)
        logits, updates = apply(variables, images, train=True, mutable=["batch_stats"])
        targets = labels
        if mix is not None:
            targets, labels = mix_labels(labels, mix, logits.shape[-1], mix_group)
        losses = cross_entropy(logits, targets, label_smoothing)
        sums = {
            "loss": jnp.sum(losses),
            "correct": jnp.sum(jnp.argmax(logits, -1) == labels, dtype=losses.dtype),
            "replaced": jnp.sum(part["replaced"], dtype=losses.dtype),
        }
        return jnp.mean(losses), (updates.get("batch_stats", {}), sums)

    def of_part(part):
        grads, (tracked, sums) = jax.grad(mean_loss, has_aux=True)(params, part)
        return grads, tracked, sums

    n = accumulation_steps
    if n == 1:
        return of_part(batch)
    parts = jax.tree.map(lambda x: x.reshape((n, x.shape[0] // n, *x.shape[1:])), batch)
    shapes = jax.eval_shape(lambda parts: of_part(jax.tree.map(lambda x: x[0], parts)), parts)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    # The scan carries running sums, so that memory holds these and the gradients of one part only.
    totals, _ = jax.lax.scan(lambda sums, part: (jax.tree.map(jnp.add, sums, of_part(part)), None), zeros, parts)
    grads, tracked, sums = totals
    return jax.tree.map(lambda x: x / n, grads), jax.tree.map(lambda x: _divide(x, n), tracked), sums


def _divide(x: Array, n: int) -> Array:
    return x // n if jnp.issubdtype(x.dtype, jnp.integer) else x / n


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    gradients: Callable[..., tuple[Any, Any, Metrics]],
    optimizer: optax.GradientTransformation,
    average_decay: float | None = None,
    draw_mix: Callable[[Array, int, int], Mix] | None = None,
    together: bool = False,
) -> tuple[TrainState, Metrics]:
    """One update on a batch.

    Args:
      state: may be donated.
      batch: see `gradients`.
      gradients: (params, batch_stats, batch) -> (gradients, batch_stats, sums), such as `gradients` above. With
        `draw_mix`, the fourth argument is the mix.
      optimizer: the one that `state.opt_state` belongs to.
      average_decay: share of the old average in the new one. In about the first 10 / (1 - decay) steps it is less.
      draw_mix: (step, height, width) -> the step's mix; see `mixing.draw_mix`. None: images are not mixed.
      together: whether the parameters are updated from a single array of all gradients; see `together.pays_off`.

    Returns:
      (the next state, {"loss": mean over the batch, "accuracy": 0..1, "gradient_norm": before clipping}). The metrics
      are added to the state's window too.
    """
    mix = () if draw_mix is None else (draw_mix(state.step, *batch["image"].shape[1:3]),)
    grads, batch_stats, sums = gradients(state.params, state.batch_stats, batch, *mix)
    of_norm = grads
    if together:
        grads, of_norm = written_together(grads)
        batch_stats = _scalars_together(state.batch_stats, batch_stats)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    step = state.step + 1
    average = state.average
    if average_decay is not None:
        # A smaller decay at first, so that the random initial weights do not stay in the average.
        decay = jnp.minimum(average_decay, (1 + step) / (10 + step))
        average = jax.tree.map(lambda old, new: old + (1 - decay).astype(old.dtype) * (new - old), average, params)
    examples = batch["label"].shape[0]
    metrics = {
        "loss": sums["loss"] / examples,
        "accuracy": sums["correct"] / examples,
        "gradient_norm": optax.tree.norm(of_norm),
    }
    state = TrainState(
        step=step,
        params=params,
        batch_stats=batch_stats,
        opt_state=opt_state,
        average=average,
        window=_add_to_window(state.window, step, metrics, sums["replaced"]),
    )
    return state, metrics


def _scalars_together(before: Any, after: Any) -> Any:
    """Running statistics `after` a step, of which those that are single numbers are computed by few operations."""
    old, (new, structure) = jax.tree.leaves(before), jax.tree.flatten(after)
    scalars = [i for i, value in enumerate(new) if value.ndim == 0]
    counts = [i for i in scalars if jnp.issubdtype(new[i].dtype, jnp.integer)]
    increments, _ = written_together([new[i] - old[i] for i in counts])
    for i, increment in zip(counts, increments, strict=True):
        new[i] = old[i] + increment
    others = [i for i in scalars if i not in counts]
    if not others:
        return jax.tree.unflatten(structure, new)
    values, _ = written_together([new[i] for i in others])
    nothing = jax.lax.optimization_barrier(jnp.zeros(()))  # XLA would copy each value by an operation of its own
    for i, value in zip(others, values, strict=True):
        new[i] = value + nothing.astype(value.dtype)
    return jax.tree.unflatten(structure, new)


def _add_to_window(window: Window, step: Array, metrics: Metrics, replaced: Array) -> Window:
    """The window with one more step in it."""
    finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(metrics["gradient_norm"])
    first = jnp.where((window["diverged"] == 0) & ~finite, step, window["diverged"])
    sums = {name: window[name] + value.astype(jnp.float32) for name, value in metrics.items()}
    counts = {"steps": window["steps"] + 1, "replaced": window["replaced"] + replaced.astype(jnp.int32)}
    return {**sums, **counts, "diverged": first}


def evaluation_step(variables: Mapping[str, Any], batch: Batch, *, apply: Apply) -> Metrics:
    """Sums over the examples of a batch whose "mask" [B] is 1: "loss", "correct", "count"; and over all: "replaced"."""
    logits = apply(variables, unit_images(batch["image"]), train=False)
    real = batch["mask"]
    return {
        "loss": jnp.sum(jnp.where(real, cross_entropy(logits, batch["label"]), 0)),
        "correct": jnp.sum(real & (jnp.argmax(logits, -1) == batch["label"])),
        "count": jnp.sum(real),
        "replaced": jnp.sum(batch["replaced"]),
    }

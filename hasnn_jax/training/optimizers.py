"""Optimizers and learning-rate schedules, in PyTorch's conventions."""

import jax.numpy as jnp
import optax


def constant(learning_rate: float) -> optax.Schedule:
    """The same learning rate at every step."""
    return optax.constant_schedule(learning_rate)


def warmup_cosine(
    learning_rate: float,
    *,
    epochs: int,
    steps_per_epoch: int,
    warmup_epochs: int = 5,
    warmup_start: float | None = None,
    per_epoch: bool = True,
) -> optax.Schedule:
    """Linear warm-up, then a cosine to zero: PyTorch's LinearLR followed by CosineAnnealingLR.

    At time e in epochs it is lr (s + (1 - s) e / w) up to e = w, the `warmup_epochs`, and
    lr (1 + cos(pi (e - w) / (epochs - w))) / 2 from there on.

    Args:
      learning_rate: lr, the highest value.
      epochs: length of the whole schedule; it stays at 0 beyond.
      steps_per_epoch: steps that make up an epoch.
      warmup_epochs: w.
      warmup_start: s, the share of lr to start from; None for lr / 10, the release's.
      per_epoch: change once an epoch, as the release does, or every step.
    """
    start = learning_rate / 10 if warmup_start is None else warmup_start
    warmup = min(warmup_epochs, epochs)

    def schedule(step):
        epoch = jnp.asarray(step, jnp.float32) / steps_per_epoch
        if per_epoch:
            epoch = jnp.floor(jnp.asarray(step) // steps_per_epoch).astype(jnp.float32)
        rising = start + (1 - start) * epoch / max(warmup, 1)
        progress = jnp.clip((epoch - warmup) / max(epochs - warmup, 1), 0, 1)
        falling = (1 + jnp.cos(jnp.pi * progress)) / 2
        return learning_rate * jnp.where(epoch < warmup, rising, falling)

    return schedule


def adam(schedule: optax.Schedule, weight_decay: float) -> optax.GradientTransformation:
    """Adam with L2: weight decay is added to the gradient before the moments, as in torch.optim.Adam."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(schedule))


def adamw(schedule: optax.Schedule, weight_decay: float) -> optax.GradientTransformation:
    """Adam with decoupled weight decay, scaled by the learning rate, as in torch.optim.AdamW."""
    return optax.adamw(schedule, weight_decay=weight_decay)


def sgd(schedule: optax.Schedule, weight_decay: float, momentum: float = 0.9) -> optax.GradientTransformation:
    """SGD with Nesterov momentum and weight decay in the gradient, as in torch.optim.SGD."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(schedule, momentum, nesterov=momentum > 0))


OPTIMIZERS = {"adam": adam, "adamw": adamw, "sgd": sgd}
SCHEDULES = {"constant": constant, "warmup_cosine": warmup_cosine}


def clipped(
    optimizer: optax.GradientTransformation, *, norm: float | None = None, rms: float | None = None
) -> optax.GradientTransformation:
    """The optimizer, with gradient clipping before it.

    Args:
      optimizer: gets the clipped gradients.
      norm: largest global norm over all parameters; None: not clipped by it.
      rms: largest root mean square of each parameter's gradient; None: not clipped by it. A value far below the usual
        one gives all steps the same weight, where otherwise a few very large ones outweigh the rest (see FIDELITY.md).
    """
    limits = []
    if rms is not None:
        limits.append(optax.clip_by_block_rms(rms))
    if norm is not None:
        limits.append(optax.clip_by_global_norm(norm))
    return optax.chain(*limits, optimizer) if limits else optimizer

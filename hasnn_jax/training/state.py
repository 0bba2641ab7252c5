"""All that a training step changes, as one pytree."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array

Window = dict[str, Array]


@struct.dataclass
class TrainState:
    """The state after `step` updates. A checkpoint holds this and nothing else.

    Attributes:
      step: number of updates so far, int32 scalar. The next batch of the data stream has this number.
      params: the model's parameters.
      batch_stats: BatchNorm's running statistics and the tracked value ranges.
      opt_state: the optimizer's state.
      average: exponential moving average of the parameters; {} where none is kept.
      window: metrics summed up since they were last logged; see `empty_window`.
    """

    step: Array
    params: Any
    batch_stats: Any
    opt_state: Any
    average: Any
    window: Window

    @property
    def variables(self) -> dict[str, Any]:
        """The variables to evaluate with: the averaged parameters where an average is kept, else the parameters."""
        return {"params": self.average or self.params, "batch_stats": self.batch_stats}


def create_state(
    variables: Mapping[str, Any], optimizer: optax.GradientTransformation, *, averaged: bool = False
) -> TrainState:
    """The state before the first step.

    Args:
      variables: the model's, {"params": ..., "batch_stats": ...}.
      optimizer: makes `opt_state`.
      averaged: whether to keep a moving average of the parameters.
    """
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(params),
        average=jax.tree.map(jnp.copy, params) if averaged else {},
        window=empty_window(),
    )


def empty_window() -> Window:
    """A window without a step in it: float32 sums and int32 counts, all scalars.

    "loss", "accuracy" and "gradient_norm" are sums over the window's "steps". "replaced" counts unreadable images that
    were replaced. "diverged" is the first step whose loss or gradient was not finite; 0 if there was none.
    """
    sums = {name: jnp.zeros((), jnp.float32) for name in ("loss", "accuracy", "gradient_norm")}
    return sums | {name: jnp.zeros((), jnp.int32) for name in ("steps", "replaced", "diverged")}

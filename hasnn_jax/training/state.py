"""Everything that training changes, as one pytree."""

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
    """The state after `step` updates; a checkpoint holds this and nothing else.

    Attributes:
      step: number of updates done, int32 scalar. The data stream continues at the batch of this number.
      params: the model's parameters.
      batch_stats: BatchNorm's running statistics and the tracked value ranges.
      opt_state: the optimizer's.
      average: exponential moving average of the parameters; {} where none is kept.
      window: what was measured since the last log point; see `empty_window`.
      key: raw random key of the run, uint32 [2].
    """

    step: Array
    params: Any
    batch_stats: Any
    opt_state: Any
    average: Any
    window: Window
    key: Array

    @property
    def variables(self) -> dict[str, Any]:
        """What the model is evaluated by: the averaged parameters, where there are such."""
        return {"params": self.average or self.params, "batch_stats": self.batch_stats}


def create_state(
    variables: Mapping[str, Any], optimizer: optax.GradientTransformation, seed: int, *, averaged: bool = False
) -> TrainState:
    """The state before the first step, from a model's freshly initialised variables."""
    params = variables["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(params),
        average=jax.tree.map(jnp.copy, params) if averaged else {},
        window=empty_window(),
        key=jax.random.key_data(jax.random.key(seed)),
    )


def empty_window() -> Window:
    """Nothing measured yet: sums over steps, float32 scalars, and int32 counts.

    "loss", "accuracy" and "gradient_norm" are sums over the window's "steps"; "replaced" counts unreadable images;
    "diverged" is the first step whose loss or gradient was not finite, 0 if all were.
    """
    sums = {name: jnp.zeros((), jnp.float32) for name in ("loss", "accuracy", "gradient_norm")}
    return sums | {name: jnp.zeros((), jnp.int32) for name in ("steps", "replaced", "diverged")}

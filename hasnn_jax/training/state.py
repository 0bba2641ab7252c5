"""Everything that training changes, as one pytree."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array


@struct.dataclass
class TrainState:
    """The state after `step` updates; a checkpoint holds this and nothing else.

    Attributes:
      step: number of updates done, int32 scalar. The data stream continues at the batch of this number.
      params: the model's parameters.
      batch_stats: BatchNorm's running statistics and the tracked value ranges.
      opt_state: the optimizer's.
      key: raw random key of the run, uint32 [2].
    """

    step: Array
    params: Any
    batch_stats: Any
    opt_state: Any
    key: Array

    @property
    def variables(self) -> dict[str, Any]:
        """What the model's `apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def create_state(variables: Mapping[str, Any], optimizer: optax.GradientTransformation, seed: int) -> TrainState:
    """The state before the first step, from a model's freshly initialised variables."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimizer.init(variables["params"]),
        key=jax.random.key_data(jax.random.key(seed)),
    )

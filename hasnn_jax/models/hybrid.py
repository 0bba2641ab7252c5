"""The hybrid block: an ANN path and an SNN path over the same input, added."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax.errors import InputError
from hasnn_jax.lookup import unknown_name
from hasnn_jax.models.layers import BatchNorm, Conv, Dense, Encoder
from hasnn_jax.models.specs import AS_DESCRIBED, SpikingSpec

Path = Literal["ann", "snn"]
Body = Callable[..., nn.Module]
"""Makes one path's layers: called with `name=`, gives a module called with (x, train)."""


@dataclasses.dataclass(frozen=True)
class Paths:
    """What every block of a model has in common.

    Attributes:
      active: which paths run; ("ann",) and ("snn",) are the pure baselines.
      spiking: coding, neuron and decoder of the spiking paths.
      statistics_group: how many consecutive examples share BatchNorm statistics and value range; None: all.
      dtype: of convolutions and linear layers; float32 or bfloat16.
    """

    active: tuple[Path, ...] = ("ann", "snn")
    spiking: SpikingSpec = AS_DESCRIBED
    statistics_group: int | None = None
    dtype: Any = jnp.float32

    def __post_init__(self):
        if not self.active or len(set(self.active)) != len(self.active):
            raise InputError(f"paths: expected 'ann', 'snn' or both, each once; got {self.active!r}")
        for path in self.active:
            if path not in ("ann", "snn"):
                raise unknown_name("path", path, ("ann", "snn"))

    def conv(self, features: int, kernel: int, stride: int = 1, *, name: str) -> Conv:
        return Conv(features, kernel, stride, self.dtype, name=name)

    def dense(self, features: int, *, name: str) -> Dense:
        return Dense(features, self.dtype, name=name)

    def norm(self, *, name: str, momentum: float = 0.1) -> BatchNorm:
        return BatchNorm(momentum, statistics_group=self.statistics_group, name=name)


class Hybrid(nn.Module):
    """Sum of the active paths: `ann(x)`, and the decoded `snn(bit planes of x)`.

    Attributes:
      paths: what the whole model has in common.
      ann: makes the ANN path's layers, [B, ...] -> [B, ...].
      snn: makes the SNN path's layers, spikes [T, B, ...] -> spikes [T, B, ...].
    """

    paths: Paths
    ann: Body
    snn: Body

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        outputs = []
        if "ann" in self.paths.active:
            outputs.append(self.ann(name="ann")(x, train))
        if "snn" in self.paths.active:
            spiking = self.paths.spiking
            planes = Encoder(spiking.coding, self.paths.statistics_group, name="encoder")(x, train)
            outputs.append(spiking.decoder(self.snn(name="snn")(planes, train)))
        return sum(outputs[1:], start=outputs[0])

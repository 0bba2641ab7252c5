"""A convolution that the layers after it compute, so that what it yields is never written: for the stems on GPUs.

`Conv` returns one if it is given a deferral. `BatchNorm` asks it for the moments of the currents, and then for their
activation. Spikes are decoded at once: their cotangent is then one array, and not one for each time step.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from jax import Array

from hasnn_jax import core
from hasnn_jax.core.decoding import Decoder, step_weights, weighted_mean
from hasnn_jax.models.activated_convolution import (
    Activated,
    Layer,
    WeightedSpikes,
    activated_convolution,
    by_xla,
    convolution_moments,
)
from hasnn_jax.models.compile_target import (
    batch_is_partitioned,
    devices_of_batch,
    dividing_mesh,
    for_same_target,
    on_gpu,
)
from hasnn_jax.models.convolution_kernels import available, fits
from hasnn_jax.models.convolution_tiles import Sizes


@dataclasses.dataclass(frozen=True)
class Deferral:
    """How the layers after a convolution compute it.

    Attributes:
      groups: of consecutive images that share statistics.
      weights, divisor: of the decoder, see `hasnn_jax.core.decoding.step_weights`; without weights, of an ANN path.
    """

    groups: int = 1
    weights: tuple[float, ...] = ()
    divisor: float = 1.0


def deferral(
    shape: tuple[int, ...],
    kernel: int,
    stride: int,
    features: int,
    dtype: Any,
    group: int | None,
    neuron: Any,
    decoder: Decoder,
) -> Deferral | None:
    """How to defer a convolution in training; None if its layers are not for the kernels, or none are to be had.

    Args:
      shape: of what is convolved, [B, H, W, C] or, of zeros and ones, [T, B, H, W, C].
      kernel, stride, features, dtype: of the convolution.
      group: how many consecutive images share statistics; None for all.
      neuron: what follows, if `shape` has a time axis.
      decoder: of the spiking path.
    """
    if not (on_gpu() and available()):
        return None
    *time, batch, height, width, channels = shape
    steps = math.prod(time) if time else 0
    groups, rest = divmod(batch, group or batch)
    divided = groups > 1 and batch_is_partitioned()  # a device would need to know which statistics are its own
    of_device = batch // devices_of_batch() // groups
    sizes = Sizes(groups, of_device, height, width, channels, kernel, stride, features, steps, dtype)
    if rest or divided or not fits(sizes):
        return None
    if not time:
        return Deferral(groups)
    weights = step_weights(decoder, steps) if isinstance(neuron, core.Neuron) else None
    return Deferral(groups, *weights) if weights else None


@dataclasses.dataclass(frozen=True)
class EarlyDecoded:
    """What a spiking path yields if its spikes are decoded before they are pooled, which is the same but for rounding.

    Attributes:
      total: [B, ...], the weighted sums of the spikes over time, float32 or wider.
      divisor: of the decoder.
    """

    total: Array
    divisor: float

    def decoded(self) -> Array:
        """As the decoder would have decoded the spikes: float32 or wider."""
        return weighted_mean(self.total[None], (1.0,), self.divisor)


def pooled(x: Any, pool: Callable[[Array], Array]) -> Any:
    """Pools what a layer yields, an array or `EarlyDecoded`, of which the means must be taken."""
    return EarlyDecoded(pool(x.total), x.divisor) if isinstance(x, EarlyDecoded) else pool(x)


@dataclasses.dataclass(frozen=True)
class DeferredConvolution:
    """What a convolution would yield.

    Attributes:
      x: what is convolved, [B, H, W, C], or [T, B, H, W, C] of zeros and ones.
      source: what the kernels read of it: the same in the dtype of the convolution, or bytes of all time steps.
      kernel: [k, k, C, F].
      deferral: what follows.
      sizes: of the whole batch.
    """

    x: Array
    source: Array
    kernel: Array
    deferral: Deferral
    sizes: Sizes

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the currents: [..., B, H', W', F]."""
        return *self.x.shape[:-4], *self.sizes.result

    def moments(self, near: Array) -> tuple[Array, Array]:
        """Mean and biased variance of a group's channels, [G, F]; see `hasnn_jax.models.moments.moments`.

        Args:
          near: [F].
        """
        return convolution_moments(self.sizes, dividing_mesh(), self.source, self.kernel, near)

    def activated(
        self,
        activation: Callable[[Array], Array],
        mean: Array,
        inverse: Array,
        weight: Array,
        scale: Array,
        bias: Array,
    ) -> Array | EarlyDecoded:
        """The activation of the normalised currents: [B, H', W', F] in `dtype`, or decoded spikes.

        Args:
          activation: a `core.Neuron` if the deferral has weights, else of any array.
          mean, inverse, weight: [G, F]; see `hasnn_jax.models.normalisation.normalise_by_moments`.
          scale, bias: [1, F].
        """
        weights, divisor = self.deferral.weights, self.deferral.divisor
        respond = WeightedSpikes(activation, weights) if weights else Activated(activation)
        layer = Layer(self.sizes, dividing_mesh(), respond, for_same_target(by_xla), self.x.dtype)
        y = activated_convolution(layer, self.x, self.source, self.kernel, mean, inverse, weight, scale, bias)
        return EarlyDecoded(y.astype(mean.dtype), divisor) if weights else y


def deferred(x: Array, kernel: Array, stride: int, dtype: Any, deferral: Deferral) -> DeferredConvolution:
    """The convolution of `x`, [B, H, W, C] or, of zeros and ones, [T, B, H, W, C].

    Args:
      x: floating.
      kernel: floating [k, k, C, F].
      stride: in both directions.
      dtype: in which it convolves, and what it yields.
      deferral: what follows.
    """
    steps = len(x) if x.ndim == 5 else 0
    source = core.pack(x) if steps else x.astype(dtype)
    (images, height, width, channels), (k, _, _, features) = source.shape, kernel.shape
    groups = deferral.groups
    sizes = Sizes(groups, images // groups, height, width, channels, k, stride, features, steps, dtype)
    return DeferredConvolution(x, source, kernel, deferral, sizes)

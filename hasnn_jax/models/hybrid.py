"""The hybrid block: the sum of an ANN path and an SNN path over the same input."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.lookup import look_up, unknown_name
from hasnn_jax.core.neurons import PACKED_SPIKES, Neuron
from hasnn_jax.models.abreast import ALONE, Abreast, for_each, lay_abreast, lay_apart, what_to_lay_abreast
from hasnn_jax.models.compile_target import on_gpu
from hasnn_jax.models.deferred_convolution import Deferral, EarlyDecoded, deferral
from hasnn_jax.models.layers import CURRENTS, MOMENTS, Activation, BatchNorm, Conv, Dense, Encoder, channelwise
from hasnn_jax.models.specs import AS_DESCRIBED, SpikingSpec

Path = Literal["ann", "snn"]
Remat = Literal["none", "spikes", "block"]
Kernels = Literal["pallas", "xla"]
KEPT = {
    "spikes": jax.checkpoint_policies.save_only_these_names(PACKED_SPIKES, CURRENTS, MOMENTS),
    "block": jax.checkpoint_policies.nothing_saveable,
}
Body = Callable[..., nn.Module]
"""Creates the layers of one path: called with (layers, name=), it returns a module that is called with (x, train)."""


@dataclasses.dataclass(frozen=True)
class LayerFactory:
    """Settings shared by every block of a model, and methods that create layers with these settings.

    Attributes:
      paths: which paths run; ("ann",) and ("snn",) are the pure baselines.
      spiking: coding, neuron and decoder of the spiking paths.
      statistics_group: how many consecutive examples share BatchNorm statistics and value range; None for all.
      dtype: of convolutions and linear layers; float32 or bfloat16.
      remat: what is kept of a block for the backward pass, which computes the rest again. "none": what the layers
        need, spikes as they are, or on GPUs in bfloat16 mostly as one byte for all time steps; "spikes": currents,
        and spikes as such bytes; "block": the block's input alone.
      kernels: what trains the first layers on GPUs, in bfloat16: "pallas", kernels of this project, which move far
        fewer bytes; or "xla", as on other devices.
      abreast: what is side by side in the channels; see `hasnn_jax.models.abreast`. Blocks choose it.

    Raises:
      InputError: `paths` is empty, or has an unknown or repeated path; or `remat` or `kernels` is unknown.
    """

    paths: tuple[Path, ...] = ("ann", "snn")
    spiking: SpikingSpec = AS_DESCRIBED
    statistics_group: int | None = None
    dtype: Any = jnp.float32
    remat: Remat = "none"
    kernels: Kernels = "pallas"
    abreast: Abreast = ALONE

    def __post_init__(self):
        look_up("remat", self.remat, {"none": None, **KEPT})
        look_up("kernels", self.kernels, dict.fromkeys(get_args(Kernels)))
        if not self.paths or len(set(self.paths)) != len(self.paths):
            raise InputError(f"paths: expected 'ann', 'snn' or both, each once; got {self.paths!r}")
        for path in self.paths:
            if path not in ("ann", "snn"):
                raise unknown_name("path", path, ("ann", "snn"))

    def conv(
        self,
        features: int,
        kernel: int,
        stride: int = 1,
        *,
        groups: int = 1,
        packs: bool = False,
        deferral: Deferral | None = None,
        name: str,
    ) -> Conv:
        """A bias-free square convolution in `dtype`.

        Args:
          features, kernel, stride, groups: see `Conv`.
          packs: whether GPUs, in bfloat16, keep the spikes that it is given for the backward pass as one byte for all
            time steps. They must be planes, or spikes of the neuron: zeros and ones.
          deferral: see `defers`; a `norm` must follow.
          name: of the layer.
        """
        keeps_less = on_gpu() and self.remat == "none" and _is_narrow(self.dtype)
        return Conv(
            features,
            kernel,
            stride,
            self.dtype,
            groups,
            self.abreast,
            deferral,
            packs=keeps_less and packs and self._spikes_are_binary,
            shares=keeps_less and "snn" in self.paths,
            name=name,
        )

    def defers(
        self, x: Array, features: int, kernel: int, stride: int, activation: Activation, train: bool
    ) -> Deferral | None:
        """Whether, and how, `norm` computes a convolution of a block's input together with itself; see `Deferral`."""
        plain = self.kernels == "pallas" and self.abreast == ALONE
        exact = _is_narrow(self.dtype) and (x.ndim == 4 or self._spikes_are_binary)  # tensor cores round wider factors
        if not (train and plain and exact):
            return None
        of_convolution = kernel, stride, features, self.dtype
        return deferral(x.shape, *of_convolution, self.statistics_group, activation, self.spiking.decoder)

    def dense(self, features: int, *, name: str) -> Dense:
        """A linear layer with bias in `dtype`."""
        return Dense(features, self.dtype, name=name)

    def norm(self, activation: Activation, *, name: str, momentum: float = 0.1) -> BatchNorm:
        """A batch normalisation with this model's `statistics_group`, followed by the activation."""
        return BatchNorm(
            momentum,
            statistics_group=self.statistics_group,
            activation=activation,
            within_checkpoint=self.remat != "none",
            abreast=self.abreast,
            name=name,
        )

    @property
    def _spikes_are_binary(self):
        return self.spiking.coding.lowest_plane == "binary" and isinstance(self.spiking.neuron, Neuron)

    def channels(self, x: Array) -> int:
        """The channels of a pixel in [..., n C], with n of them side by side."""
        return x.shape[-1] // self.abreast.count

    def hybrid(self, *, ann: Body, snn: Body, channels: int | None = None, strided: bool = True, name: str) -> "Hybrid":
        """A block of two paths; `remat` decides what is kept of it for the backward pass.

        With `channels`, those of its layers, it may lay images abreast, and if it is not `strided`, pixels; then its
        layers compute with `layers.channels(x)`.
        """
        kind = Hybrid if self.remat == "none" else nn.remat(Hybrid, static_argnums=(2,), policy=KEPT[self.remat])
        return kind(self, ann, snn, channels, strided, name=name)


def _is_narrow(dtype):
    return jnp.dtype(dtype).itemsize == 2


class Hybrid(nn.Module):
    """Sum of the model's paths: `ann(x)`, and the decoded `snn(bit planes of x)`, times a gain if it is learned.

    Attributes:
      layers: the settings of the whole model.
      ann: creates the layers of the ANN path, [B, ...] -> [B, ...].
      snn: creates the layers of the SNN path, spikes [T, B, ...] -> spikes [T, B, ...].
      channels: of the layers that take most of the time, if they can be given images abreast. In training they are,
        where that is faster; never in evaluation, so that spikes are found where they are expected.
      strided: whether a layer has a stride, or pools.
    """

    layers: LayerFactory
    ann: Body
    snn: Body
    channels: int | None = None
    strided: bool = True

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        spiking, group = self.layers.spiking, self.layers.statistics_group
        n = self._abreast(x.shape) if train else ALONE
        layers = dataclasses.replace(self.layers, abreast=n)
        x = lay_abreast(x, n)
        outputs = []
        if "ann" in layers.paths:
            outputs.append(self.ann(layers, name="ann")(x, train))
        if "snn" in layers.paths:
            planes = Encoder(spiking.coding, group, abreast=n, name="encoder")(x, train)
            spikes = self.snn(layers, name="snn")(planes, train)
            decoded = spikes.decoded() if isinstance(spikes, EarlyDecoded) else spiking.decoder(spikes)
            if outputs and spiking.gain == "learned":
                gain = self.param("gain", nn.initializers.zeros, (layers.channels(decoded),))
                decoded *= channelwise(for_each(gain, n.count), decoded)
            outputs.append(decoded)
        return lay_apart(sum(outputs[1:], start=outputs[0]), n)

    def _abreast(self, shape):
        if self.channels is None:
            return ALONE
        alone = self.layers.spiking.coding.value_range == "example"
        return what_to_lay_abreast(shape, self.channels, 1 if alone else self.layers.statistics_group, self.strided)

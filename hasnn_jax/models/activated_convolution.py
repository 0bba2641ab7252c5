"""A convolution of few channels, its normalisation and activation, by kernels that write no currents."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from hasnn_jax import core
from hasnn_jax.core import reductions
from hasnn_jax.core.neurons import wide_steps
from hasnn_jax.models.convolution import convolve
from hasnn_jax.models.convolution_kernels import Respond, gradient_sums, kernel_gradients, responses, sums
from hasnn_jax.models.convolution_tiles import Sizes
from hasnn_jax.models.moments import from_differences
from hasnn_jax.models.normalisation import normalise_by_moments
from hasnn_jax.models.time_folding import time_folded

BATCH, PARTIAL = 0, 1  # the axis of a result that is divided among devices: its images, or the programs' sums


@dataclasses.dataclass(frozen=True)
class WeightedSpikes:
    """Response of a spiking layer: currents -> the sum of the spikes over time, each step times its weight."""

    neuron: Any
    weights: tuple[float, ...]

    def __call__(self, currents: list[Array]) -> Array:
        spikes = self.neuron.run(wide_steps(currents))
        return sum(
            (weight * s for weight, s in zip(self.weights, spikes, strict=True)), start=jnp.zeros_like(spikes[0])
        )


@dataclasses.dataclass(frozen=True)
class Activated:
    """Response of an ANN layer: currents, of a single step -> activation, computed in float32 or wider."""

    activation: Callable[[Array], Array]

    def __call__(self, currents: list[Array]) -> Array:
        (x,) = wide_steps(currents)  # Triton divides nothing narrower
        return self.activation(x)


@dataclasses.dataclass(frozen=True)
class Layer:
    """What is fixed about a layer.

    Attributes:
      sizes: of the whole batch.
      mesh: whose devices share the batch, or None.
      respond: normalised currents -> what the layer yields.
      by_xla: the layer as XLA computes it.
      dtype: of what is convolved, before it is packed.
    """

    sizes: Sizes
    mesh: Mesh | None
    respond: Respond
    by_xla: Callable[..., Array]
    dtype: Any


def convolution_moments(
    sizes: Sizes, mesh: Mesh | None, source: Array, kernel: Array, near: Array
) -> tuple[Array, Array]:
    """Mean and biased variance of the currents, [G, F] each; see `hasnn_jax.models.moments.moments`.

    Args:
      sizes, mesh: see `Layer`.
      source, kernel: see `hasnn_jax.models.convolution_kernels.sums`.
      near: [F].
    """
    source, kernel, near = jax.lax.stop_gradient((source, kernel, near))
    near = jnp.broadcast_to(near, (sizes.groups, *near.shape))

    def run(source, kernel, near):
        return sums(source, kernel, near, sizes.of_share(source))

    partial = _on_each_device(mesh, run, (source,), (kernel, near), PARTIAL)
    offset, square = (each / sizes.values for each in _totals(partial, near))
    return from_differences(near, offset, square)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def activated_convolution(
    layer: Layer,
    x: Array,
    source: Array,
    kernel: Array,
    mean: Array,
    inverse: Array,
    weight: Array,
    scale: Array,
    bias: Array,
) -> Array:
    """What the layer yields, [B, H', W', F] in the dtype that it convolves in.

    For the backward pass only the arguments are kept, without `x`. The gradient of `x` is computed by XLA.

    Args:
      layer: see `Layer`.
      x: what is convolved: [B, H, W, C], or [T, B, H, W, C] of zeros and ones.
      source: the same in that dtype, or packed.
      kernel: [k, k, C, F].
      mean, inverse, weight: [G, F] of x convolved; no gradient is returned for them. See
        `hasnn_jax.models.normalisation.normalise_by_moments`.
      scale, bias: [1, F].
    """
    sizes = layer.sizes
    dtype = jnp.uint8 if sizes.steps else sizes.dtype

    def run(source, kernel, *statistics):
        return responses(layer.respond, dtype, source, kernel, statistics, sizes.of_share(source))

    statistics = mean, weight, jnp.broadcast_to(bias, mean.shape)
    return _on_each_device(layer.mesh, run, (source,), (kernel, *statistics), BATCH).astype(sizes.dtype)


def _forward(layer, x, *args):
    return activated_convolution(layer, x, *args), args


def _backward(layer, kept, cotangent):
    source, kernel, mean, inverse, weight, scale, bias = kept
    sizes = layer.sizes
    of_batch, whole = (source, cotangent), (kernel, mean, weight, jnp.broadcast_to(bias, mean.shape))

    def run_sums(source, cotangent, kernel, *statistics):
        return gradient_sums(layer.respond, cotangent, source, kernel, statistics, sizes.of_share(source))

    total, products = _totals(_on_each_device(layer.mesh, run_sums, of_batch, whole, PARTIAL), mean)

    def run_gradients(source, cotangent, kernel, mean, weight, bias, *gradient):
        args = source, kernel, (mean, weight, bias), gradient, sizes.values, sizes.of_share(source)
        return kernel_gradients(layer.respond, cotangent, *args)

    partial = _on_each_device(layer.mesh, run_gradients, of_batch, (*whole, total, products, inverse), PARTIAL)
    of_kernel = jnp.sum(partial, axis=(0, 1)).astype(kernel.dtype)
    # As a rule nobody asks for the gradient of images, and XLA leaves it out.
    x = core.unpack(source, sizes.steps, layer.dtype) if sizes.steps else source.astype(layer.dtype)
    _, differentiate = jax.vjp(lambda x: layer.by_xla(layer, x, kernel, mean, inverse, weight, scale, bias), x)
    of_scale, of_bias = (jnp.sum(each, axis=0, keepdims=True) for each in (products * inverse, total))
    return *differentiate(cotangent), None, of_kernel, None, None, None, of_scale, of_bias


activated_convolution.defvjp(_forward, _backward)


def by_xla(layer: Layer, x: Array, kernel: Array, mean: Array, *others: Array) -> Array:
    """What `activated_convolution` computes, as XLA computes it."""
    stride, dtype = layer.sizes.stride, layer.sizes.dtype
    y = time_folded(lambda images, kernel: convolve(images, kernel, stride), x.astype(dtype), kernel.astype(dtype))
    grouped = y.reshape(*y.shape[:-4], len(mean), -1, *y.shape[-3:])
    mean, inverse, weight, scale, bias = (
        each.reshape(*(1,) * (y.ndim - 4), len(each), 1, 1, 1, -1) for each in (mean, *others)
    )
    normalised = normalise_by_moments(grouped, mean, inverse, weight, scale, bias).reshape(y.shape)
    return layer.respond(list(normalised) if x.ndim == 5 else [normalised]).astype(dtype)


def _totals(partial, like):
    """The sums of what the programs have added up, of the shape of `like`."""
    return (each[:, : like.shape[1]] for each in reductions.sums(tuple(partial), (1,)))


def _on_each_device(mesh, function, of_batch, whole, result):
    """A function of arrays whose first axis is the batch, and of others; `result` says which of its axes has a part
    from each device.
    """
    if mesh is None:
        return function(*of_batch, *whole)
    axis = mesh.axis_names[0]
    return jax.shard_map(
        function,
        mesh=mesh,
        in_specs=(*(PartitionSpec(axis) for _ in of_batch), *(PartitionSpec() for _ in whole)),
        out_specs=PartitionSpec(*(None,) * result, axis),
        check_vma=False,  # a kernel's results are not annotated with what differs between devices
    )(*of_batch, *whole)

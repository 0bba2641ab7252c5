"""The layers that both paths use. Arrays are [B, H, W, C], or [T, B, H, W, C] with a time axis.

Convolution, pooling, linear layers and normalisation treat all time steps alike: the convolution folds time into
the batch, BatchNorm takes its statistics over time, batch and space together.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax import core
from hasnn_jax.core.value_range import require_whole_groups

BATCH_AXIS = -4  # of [..., B, H, W, C]


def torch_uniform(fan_in: int) -> Callable[..., Array]:
    """PyTorch's default initialisation of weights and biases: uniform in [-1, 1] / sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in)

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class Conv(nn.Module):
    """Bias-free square convolution with PyTorch's symmetric padding, kernel // 2 on every side.

    [..., B, H, W, C] -> [..., B, H / stride, W / stride, features], in `dtype`; parameters are float32.
    """

    features: int
    kernel: int
    stride: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", torch_uniform(math.prod(shape[:-1])), shape)
        pad = (self.kernel // 2, self.kernel // 2)
        convolve = functools.partial(
            jax.lax.conv_general_dilated,
            rhs=kernel.astype(self.dtype),
            window_strides=(self.stride, self.stride),
            padding=(pad, pad),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return _time_folded(convolve, x.astype(self.dtype))


class Dense(nn.Module):
    """Linear layer with bias: [..., C] -> [..., features], in `dtype`; parameters are float32."""

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        init = torch_uniform(x.shape[-1])
        kernel = self.param("kernel", init, (x.shape[-1], self.features))
        bias = self.param("bias", init, (self.features,))
        y = x.astype(self.dtype) @ kernel.astype(self.dtype)
        return y + _channelwise(bias.astype(self.dtype), y)


class BatchNorm(nn.Module):
    """Batch normalisation over all axes except channels, with PyTorch's running statistics.

    The running variance is unbiased: the variance of the batch times n / (n - 1). The variable `count` is the number
    of batches in the running statistics; nothing is computed from it. Statistics are float32 or wider for every
    input dtype.

    Attributes:
      momentum: weight of the new batch: running = (1 - momentum) running + momentum batch.
      epsilon: added to the variance.
      statistics_group: how many consecutive examples share statistics; None for the whole batch. The running
        statistics use the mean over the groups.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    statistics_group: int | None = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """[..., B, H, W, C] -> same shape and dtype; with `train`, updates "batch_stats" if it is mutable."""
        channels, batch = x.shape[-1], x.shape[BATCH_AXIS]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        count = self.variable("batch_stats", "count", jnp.zeros, (), jnp.int32)

        exact = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if not train:
            weight = scale * jax.lax.rsqrt(running_var.value + self.epsilon)
            shifted = exact - _channelwise(running_mean.value, x)
            return (shifted * _channelwise(weight, x) + _channelwise(bias, x)).astype(x.dtype)

        group = self.statistics_group or batch
        require_whole_groups(batch, group)
        grouped = exact.reshape((*x.shape[:BATCH_AXIS], batch // group, group, *x.shape[BATCH_AXIS + 1 :]))
        axes = tuple(a for a in range(grouped.ndim) if a not in (x.ndim + BATCH_AXIS, grouped.ndim - 1))
        mean = jnp.mean(grouped, axes, keepdims=True)
        centred = grouped - mean
        var = jnp.mean(centred * centred, axes, keepdims=True)
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
            n = math.prod(grouped.shape[a] for a in axes)
            self._track(running_mean, mean)
            self._track(running_var, var * (n / max(n - 1, 1)))
            count.value += 1
        weight = jax.lax.rsqrt(var + self.epsilon) * _channelwise(scale, var)
        y = centred * weight + _channelwise(bias, centred)
        return y.reshape(x.shape).astype(x.dtype)

    def _track(self, running, batch_values):
        new = jnp.mean(batch_values.reshape(-1, batch_values.shape[-1]), axis=0)
        running.value = (1 - self.momentum) * running.value + self.momentum * jax.lax.stop_gradient(new)


def _channelwise(values: Array, like: Array) -> Array:
    """A vector with one value per channel, reshaped to broadcast against [..., C]."""
    return values.reshape((1,) * (like.ndim - 1) + values.shape)


class Encoder(nn.Module):
    """Bit-plane encoder with a running value range: [B, ...] -> spikes [T, B, ...], same dtype.

    With `coding.value_range` "batch" or "example" it is `core.encode`. With "running", training uses the range of
    the batch (of each statistics group) and updates a running average, as BatchNorm does with its mean. Evaluation
    uses the running average, so that the planes of an example do not depend on other examples.

    Attributes:
      coding: number and order of the planes, surrogate gradient, value range.
      statistics_group: how many consecutive examples share a range; None for the whole batch.
      momentum: weight of the new batch in the running range.
    """

    coding: core.BitPlaneCoding
    statistics_group: int | None = None
    momentum: float = 0.1

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        # Otherwise XLA may compute x twice, for the range and for the planes, with different rounding. The largest
        # value could then be below the maximum and lose its lowest plane.
        x = _as_one_array(x)
        exact = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if self.coding.value_range == "example":
            bounds = core.value_bounds(exact, 1)
        elif self.coding.value_range == "batch":
            bounds = core.value_bounds(exact, self.statistics_group)
        else:
            bounds = self._running_bounds(exact, train)
        return _as_one_array(core.encode(x, self.coding, bounds))

    def _running_bounds(self, x, train):
        low = self.variable("batch_stats", "low", jnp.zeros, ())
        high = self.variable("batch_stats", "high", jnp.ones, ())
        if not train:
            return low.value, high.value
        bounds = core.value_bounds(x, self.statistics_group)
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
            for running, batch_bound in zip((low, high), bounds, strict=True):
                new = jax.lax.stop_gradient(jnp.mean(batch_bound))
                running.value = (1 - self.momentum) * running.value + self.momentum * new
        return bounds


def spiking_activation(neuron: core.Neuron) -> Callable[[Array], Array]:
    """The neuron as an activation function: currents [T, ...] -> spikes [T, ...].

    The spikes are computed once, not again in every operation that uses them.
    """
    return functools.partial(_fire, neuron)


def _fire(neuron, currents):
    return _as_one_array(neuron(currents))


def _as_one_array(x: Array) -> Array:
    """Prevents XLA from fusing the computation of an array into every operation that uses the array."""
    return jax.lax.optimization_barrier(x)


def average_pool(x: Array, window: int, stride: int, padding: int = 0) -> Array:
    """Average pooling of [..., H, W, C]; the mean includes the zeros of the padding, as in PyTorch by default."""
    return _pool(nn.avg_pool, x, window, stride, padding)


def max_pool(x: Array, window: int, stride: int, padding: int = 0) -> Array:
    """Max pooling of [..., H, W, C]; the padding is never the maximum."""
    return _pool(nn.max_pool, x, window, stride, padding)


def _pool(pool, x, window, stride, padding):
    pads = ((padding, padding), (padding, padding))
    return _time_folded(lambda images: pool(images, (window, window), (stride, stride), pads), x)


def _time_folded(function, x):
    """Applies a function of images [N, H, W, C] to [B, H, W, C], or to [T, B, H, W, C] with N = B T.

    The batch is the outer part of N. If the batch is sharded over devices, N is sharded in the same way and no data
    moves between devices. XLA chooses a memory layout in which the transposition costs nothing.
    """
    if x.ndim == 4:
        return function(x)
    time, batch = x.shape[:2]
    y = function(x.swapaxes(0, 1).reshape((-1, *x.shape[2:])))  # [B T, H, W, C]
    return y.reshape((batch, time, *y.shape[1:])).swapaxes(0, 1)


def global_average_pool(x: Array) -> Array:
    """Mean over space: [..., H, W, C] -> [..., C]."""
    return jnp.mean(x, axis=(-3, -2))

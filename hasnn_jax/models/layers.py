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
from jax.ad_checkpoint import checkpoint_name

from hasnn_jax import core
from hasnn_jax.core.value_range import require_whole_groups
from hasnn_jax.models.abreast import ALONE, Abreast, for_each, kernel_for_each
from hasnn_jax.models.compile_target import for_same_target, on_gpu
from hasnn_jax.models.convolution import convolve
from hasnn_jax.models.deferred_convolution import Deferral, DeferredConvolution, deferred
from hasnn_jax.models.kept_input import AS_IT_IS, as_bytes, convolve_kept
from hasnn_jax.models.memory_layout import for_activation, for_convolution
from hasnn_jax.models.moments import moments
from hasnn_jax.models.normalisation import normalise, normalise_by_moments
from hasnn_jax.models.recomputation import recomputed
from hasnn_jax.models.spiking_normalisation import gradient_by_steps, normalise_and_fire
from hasnn_jax.models.time_folding import time_folded

Activation = Callable[[Array], Array]
BATCH_AXIS = -4  # of [..., B, H, W, C]
CURRENTS, MOMENTS = "currents", "moments"  # for the policies of `jax.checkpoint`


def identity(x: Array) -> Array:
    """No activation."""
    return x


def torch_uniform(fan_in: int) -> Callable[..., Array]:
    """PyTorch's default initialisation of weights and biases: uniform in [-1, 1] / sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in)

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class Conv(nn.Module):
    """Bias-free square convolution with PyTorch's symmetric padding, kernel // 2 on every side.

    [..., B, H, W, C] -> [..., B, H / stride, W / stride, features], in `dtype`; parameters are float32. With more than
    one group, C and `features` are divided into so many groups, each convolved by itself. With images or pixels
    abreast, which are not for groups, C and `features` are those of each; see `hasnn_jax.models.abreast`.

    With a deferral, nothing is computed yet; see `hasnn_jax.models.deferred_convolution`. For the gradient of
    the kernel, x is kept; with `packs`, if it has a time axis, as bytes, for which it must be of zeros and ones; with
    `shares`, if it has none, in its own dtype, as an encoder keeps it too.
    """

    features: int
    kernel: int
    stride: int = 1
    dtype: Any = jnp.float32
    groups: int = 1
    abreast: Abreast = ALONE
    deferral: Deferral | None = None
    packs: bool = False
    shares: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Any:
        shape = (self.kernel, self.kernel, x.shape[-1] // (self.groups * self.abreast.count), self.features)
        kernel = self.param("kernel", torch_uniform(math.prod(shape[:-1])), shape)
        if self.deferral is not None:
            return deferred(x, kernel, self.stride, self.dtype, self.deferral)
        kernel = kernel_for_each(kernel.astype(self.dtype), self.abreast)
        convolved = functools.partial(time_folded, functools.partial(convolve, stride=self.stride, groups=self.groups))
        if self.packs and x.ndim == 5:
            y = convolve_kept(as_bytes(len(x)), for_same_target(convolved), x, kernel)
        elif self.shares and x.ndim == 4 and x.dtype != self.dtype:
            y = convolve_kept(AS_IT_IS, for_same_target(convolved), x, kernel)
        else:
            y = convolved(for_convolution(x.astype(self.dtype)), kernel)
        return checkpoint_name(y, CURRENTS)


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
        return y + channelwise(bias.astype(self.dtype), y)


class BatchNorm(nn.Module):
    """Batch normalisation over all axes except channels, with PyTorch's running statistics, and an activation.

    The running variance is unbiased: the variance of the batch times n / (n - 1). The variable `count` is the number
    of batches in the running statistics; nothing is computed from it. Statistics are float32 or wider for every
    input dtype.

    Attributes:
      momentum: weight of the new batch: running = (1 - momentum) running + momentum batch.
      epsilon: added to the variance.
      statistics_group: how many consecutive examples share statistics; None for the whole batch. The running
        statistics use the mean over the groups.
      activation: applied to the normalised values. For the backward pass only the layer's input is kept, and what
        follows from it is computed again: that takes less time than writing it to memory does.
      within_checkpoint: whether a `jax.checkpoint` around the layer decides instead what is kept.
      abreast: what is side by side in the channels, images of one group; see `hasnn_jax.models.abreast`.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    statistics_group: int | None = None
    activation: Activation = identity
    within_checkpoint: bool = False
    abreast: Abreast = ALONE

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        """[..., B, H, W, C] -> same shape and dtype; with `train`, updates "batch_stats" if it is mutable.

        Of a deferred convolution, it returns what `DeferredConvolution.activated` does.
        """
        together = self.abreast.count
        channels, batch = x.shape[-1] // together, x.shape[BATCH_AXIS] * self.abreast.images
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,))
        count = self.variable("batch_stats", "count", jnp.zeros, (), jnp.int32)

        if not train:
            weight = scale * jax.lax.rsqrt(running_var.value + self.epsilon)
            of_channels = (for_each(each, together) for each in (running_mean.value, weight, bias))
            return self.activation(normalise(x, *(channelwise(each, x) for each in of_channels)))

        if isinstance(x, DeferredConvolution):
            mean, var = checkpoint_name(x.moments(running_mean.value), MOMENTS)
            n = x.sizes.values
        else:
            grouped = self._grouped(x, batch)
            exact = grouped.astype(jnp.promote_types(x.dtype, jnp.float32))
            axes = tuple(a for a in range(grouped.ndim) if a not in (x.ndim + BATCH_AXIS, grouped.ndim - 1))
            mean, var = checkpoint_name(moments(exact, running_mean.value, axes, together), MOMENTS)
            n = math.prod(grouped.shape[a] for a in axes) * together
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
            self._track(running_mean, mean)
            self._track(running_var, var * (n / max(n - 1, 1)))
            count.value += 1
        inverse = jax.lax.rsqrt(var + self.epsilon)
        scale, bias = channelwise(scale, var), channelwise(bias, var)
        statistics = mean, inverse, jax.lax.stop_gradient(inverse * scale)
        if on_gpu():
            # Written once: what needs the mean would otherwise compute it from the old running mean, of which XLA would
            # have to keep a copy.
            statistics = jax.lax.optimization_barrier(statistics)
        if isinstance(x, DeferredConvolution):
            return x.activated(self.activation, *statistics, scale, bias)
        return self._activated(x.shape, grouped, *statistics, scale, bias)

    def _grouped(self, x, batch):
        """The examples that share statistics along an axis of their own."""
        group = self.statistics_group or batch
        require_whole_groups(batch, group)
        shape = (*x.shape[:BATCH_AXIS], batch // group, group // self.abreast.images, *x.shape[BATCH_AXIS + 1 :])
        return for_activation(x.reshape(shape))

    def _activated(self, shape, grouped, *arguments):
        """Normalises and activates: what is grouped -> the given shape."""
        neuron = self.activation if gradient_by_steps(self.activation, grouped) else None

        def normalise_and_activate(kept, mean, inverse, weight, scale, bias):
            kept = kept.reshape(grouped.shape)
            arguments = kept, mean, inverse, weight, scale, bias, self.abreast.count
            if neuron:
                return normalise_and_fire(neuron, *arguments).reshape(shape)
            return self.activation(normalise_by_moments(*arguments).reshape(shape))

        # A gradient by steps keeps no more by itself, but XLA for GPUs would keep membranes for it, in float32.
        keeps_input = self.within_checkpoint or (neuron and not on_gpu())
        if keeps_input:
            return normalise_and_activate(grouped, *arguments)
        # Grouped within: XLA for GPUs would move a fifth more bytes if what is kept had another shape than the input.
        # It fuses the steps of a neuron's gradient only if all have the same shape, axes of size 1 included.
        recompute = recomputed if on_gpu() else jax.checkpoint
        return recompute(normalise_and_activate)(grouped.reshape(shape), *arguments)

    def _track(self, running, batch_values):
        new = jnp.mean(batch_values.reshape(-1, batch_values.shape[-1]), axis=0)
        running.value = (1 - self.momentum) * running.value + self.momentum * jax.lax.stop_gradient(new)


def channelwise(values: Array, like: Array) -> Array:
    """A vector with one value per channel, reshaped to broadcast against [..., C]."""
    return values if values.ndim == like.ndim else values.reshape((1,) * (like.ndim - 1) + values.shape)


class Encoder(nn.Module):
    """Bit-plane encoder with a running value range: [B, ...] -> spikes [T, B, ...], same dtype.

    With `coding.value_range` "batch" or "example" it is `core.encode`. With "running", training uses the range of
    the batch (of each statistics group) and updates a running average, as BatchNorm does with its mean. Evaluation
    uses the running average, so that the planes of an example do not depend on other examples.

    Attributes:
      coding: number and order of the planes, surrogate gradient, value range.
      statistics_group: how many consecutive examples share a range; None for the whole batch.
      momentum: weight of the new batch in the running range.
      abreast: what is side by side in the channels, images of one group; see `hasnn_jax.models.abreast`.
    """

    coding: core.BitPlaneCoding
    statistics_group: int | None = None
    momentum: float = 0.1
    abreast: Abreast = ALONE

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        if self.coding.value_range != "running":
            return self._by_own_range(x)[0]
        low = self.variable("batch_stats", "low", jnp.zeros, ())
        high = self.variable("batch_stats", "high", jnp.ones, ())
        if not train:
            return core.encode(x, self.coding, (low.value, high.value))
        spikes, bounds = self._by_own_range(x)
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
            for running, batch_bound in zip((low, high), bounds, strict=True):
                running.value = (1 - self.momentum) * running.value + self.momentum * jnp.mean(batch_bound)
        return spikes

    def _by_own_range(self, x):
        alone = self.coding.value_range == "example"
        rows = self.statistics_group and self.statistics_group // self.abreast.images
        return core.encode_by_own_range(x, self.coding, 1 if alone else rows)

"""Normalisation with given statistics, alone and followed by a spiking neuron."""

import functools
import math
from collections.abc import Callable
from typing import TypeGuard

import jax
import jax.numpy as jnp
from jax import Array

from hasnn_jax.core import Neuron
from hasnn_jax.core.neurons import MAX_PACKED_STEPS, fire, wide_steps
from hasnn_jax.models.compile_target import batch_is_partitioned, on_cpu, on_gpu

LARGE = 2**24  # values; from here on, a CPU computes the gradient in parts
PART = 2**16  # values of a time step, so that what is computed in between stays in the cache


def normalise(x: Array, mean: Array, weight: Array, bias: Array) -> Array:
    """(x - mean) weight + bias, computed in float32 or wider, in the dtype of `x`.

    Args:
      x: floating, of any shape.
      mean, weight, bias: broadcastable to `x`.
    """
    exact = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return ((exact - mean) * weight + bias).astype(x.dtype)


def gradient_by_steps(activation: Callable[[Array], Array], x: Array) -> TypeGuard[Neuron]:
    """Whether `normalise_and_fire` is the way for this activation: not on a GPU, where it moves a tenth more bytes."""
    return isinstance(activation, Neuron) and x.shape[0] <= MAX_PACKED_STEPS and not on_gpu()


def normalise_and_fire(neuron: Neuron, x: Array, mean: Array, weight: Array, bias: Array) -> Array:
    """The spikes of a neuron whose currents are normalised values: [T, G, ..., C] -> same shape and dtype, 0 or 1.

    For the backward pass only the arguments are kept. It goes through the time steps as arrays of their own and joins
    them at its end only: XLA would compute a neuron's gradients eight times, once for each step of an array of them.

    Args:
      neuron: see `hasnn_jax.core.Neuron`.
      x: floating [T, G, ..., C], T at most `MAX_PACKED_STEPS`.
      mean, weight, bias: [1, G, ..., C] or [1, 1, ..., C] with 1 for all other axes: the same for all time steps, and
        for all values of a group's channel.
    """
    # Decided here, because the gradient may be traced where what it is compiled for is no longer known.
    in_parts = x.size >= LARGE and on_cpu() and not batch_is_partitioned()
    return _normalise_and_fire(neuron, in_parts, x, mean, weight, bias)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _normalise_and_fire(neuron, in_parts, x, mean, weight, bias):
    return fire(neuron, normalise(x, mean, weight, bias))


def _forward(neuron, in_parts, *args):
    return fire(neuron, normalise(*args)), args


def _backward(neuron, in_parts, kept, cotangent):
    x, *of_channels = kept
    mean, weight, bias = (each[0] for each in of_channels)
    differentiate = _gradient_in_parts if in_parts else _gradient
    of_x, of_currents, of_weight = differentiate(neuron, x, mean, weight, bias, cotangent)
    return of_x, (-weight * of_currents)[None], of_weight[None], _summed(of_currents, like=bias)[None]


_normalise_and_fire.defvjp(_forward, _backward)


def _gradient(neuron, x, mean, weight, bias, cotangent):
    """The gradient of `x`; of the currents, summed up for each mean; and of the weight."""
    differences = [step - mean for step in wide_steps(x)]
    currents = [(difference * weight + bias).astype(x.dtype) for difference in differences]
    _, through_time = jax.vjp(neuron.run, wide_steps(currents))
    (gradients,) = through_time(wide_steps(cotangent))
    gradients = [gradient.astype(x.dtype).astype(gradient.dtype) for gradient in gradients]
    # Added up over time before they are over space, in one pass.
    of_currents = _summed(sum(gradients[1:], start=gradients[0]), like=mean)
    products = [gradient * difference for gradient, difference in zip(gradients, differences, strict=True)]
    of_weight = _summed(sum(products[1:], start=products[0]), like=weight)
    return jnp.stack([(gradient * weight).astype(x.dtype) for gradient in gradients]), of_currents, of_weight


def _gradient_in_parts(neuron, x, mean, weight, bias, cotangent):
    """The same, with little memory for what is computed in between: part after part of all groups' values."""
    groups, channels, shapes = x.shape[1], x.shape[-1], (mean.shape, weight.shape)
    values = math.prod(x.shape[2:-1])
    fitting = (n for n in range(1, values) if values % n == 0 and values // n * groups * channels <= PART)
    parts = next(fitting, values)
    x_parts, cotangent_parts = (a.reshape(len(x), groups, parts, -1, channels) for a in (x, cotangent))
    mean, weight, bias = (each.reshape(each.shape[0], 1, channels) for each in (mean, weight, bias))

    def differentiate_part(i, carried):
        ahead, *sums = carried  # of the cotangent, whose place the gradient of x takes
        x_part, cotangent_part = (jax.lax.dynamic_index_in_dim(a, i, 2, False) for a in (x_parts, ahead))
        of_x, *sums_of_part = _gradient(neuron, x_part, mean, weight, bias, cotangent_part)
        return jax.lax.dynamic_update_index_in_dim(ahead, of_x, i, 2), *map(jnp.add, sums, sums_of_part)

    start = cotangent_parts, jnp.zeros_like(mean), jnp.zeros_like(weight)
    of_x, *sums = jax.lax.fori_loop(0, parts, differentiate_part, start)
    return of_x.reshape(x.shape), *(each.reshape(shape) for each, shape in zip(sums, shapes, strict=True))


def _summed(x, like):
    """The gradient of a broadcast of `like` to the shape of `x`."""
    axes = tuple(a for a, (size, kept) in enumerate(zip(x.shape, like.shape, strict=True)) if kept < size)
    return jnp.sum(x, axes, keepdims=True)

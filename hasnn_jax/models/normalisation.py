"""Normalisation with given statistics, alone and followed by a spiking neuron."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from hasnn_jax.core import Neuron
from hasnn_jax.core.neurons import MAX_PACKED_STEPS, fire, wide_steps
from hasnn_jax.models.compile_target import on_gpu


def normalise(x: Array, mean: Array, weight: Array, bias: Array) -> Array:
    """(x - mean) weight + bias, computed in float32 or wider, in the dtype of `x`.

    Args:
      x: floating, of any shape.
      mean, weight, bias: broadcastable to `x`.
    """
    exact = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return ((exact - mean) * weight + bias).astype(x.dtype)


def gradient_by_steps(activation: Callable[[Array], Array], x: Array) -> bool:
    """Whether `normalise_and_fire` is the way for this activation: not on a GPU, where it moves a tenth more bytes."""
    return isinstance(activation, Neuron) and x.shape[0] <= MAX_PACKED_STEPS and not on_gpu()


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def normalise_and_fire(neuron: Neuron, x: Array, mean: Array, weight: Array, bias: Array) -> Array:
    """The spikes of a neuron whose currents are normalised values: [T, ...] -> [T, ...] in {0, 1}, same dtype.

    For the backward pass only the arguments are kept. It goes through the time steps as arrays of their own and joins
    them at its end only: XLA would compute a neuron's gradients eight times, once for each step of an array of them.

    Args:
      neuron: see `hasnn_jax.core.Neuron`.
      x: floating [T, ...], T at most `MAX_PACKED_STEPS`.
      mean, weight, bias: broadcastable to `x`, of its rank, and the same for all time steps: [1, ...].
    """
    return fire(neuron, normalise(x, mean, weight, bias))


def _forward(neuron, x, mean, weight, bias):
    return fire(neuron, normalise(x, mean, weight, bias)), (x, mean, weight, bias)


def _backward(neuron, kept, cotangent):
    x, *of_channels = kept
    mean, weight, bias = (each[0] for each in of_channels)
    differences = [step - mean for step in wide_steps(x)]
    currents = [(difference * weight + bias).astype(x.dtype) for difference in differences]
    _, through_time = jax.vjp(neuron.run, wide_steps(currents))
    (gradients,) = through_time(wide_steps(cotangent))
    gradients = [gradient.astype(x.dtype).astype(gradient.dtype) for gradient in gradients]
    # Added up over time before they are over space, in one pass.
    of_currents = _summed(sum(gradients[1:], start=gradients[0]), like=mean)
    products = [gradient * difference for gradient, difference in zip(gradients, differences, strict=True)]
    of_weight = _summed(sum(products[1:], start=products[0]), like=weight)
    of_x = jnp.stack([(gradient * weight).astype(x.dtype) for gradient in gradients])
    return of_x, (-weight * of_currents)[None], of_weight[None], _summed(of_currents, like=bias)[None]


def _summed(x, like):
    """The gradient of a broadcast of `like` to the shape of `x`."""
    axes = tuple(a for a, (size, kept) in enumerate(zip(x.shape, like.shape, strict=True)) if kept < size)
    return jnp.sum(x, axes, keepdims=True)


normalise_and_fire.defvjp(_forward, _backward)

"""Normalisation followed by a spiking neuron, with one gradient for both."""

import functools
import math
from collections.abc import Callable
from typing import TypeGuard

import jax
import jax.numpy as jnp
from jax import Array

from hasnn_jax.core import Neuron
from hasnn_jax.core.neurons import MAX_PACKED_STEPS, fire, wide_steps
from hasnn_jax.models.cache_parts import parts_of
from hasnn_jax.models.compile_target import batch_is_partitioned, on_cpu, on_gpu, on_tpu
from hasnn_jax.models.normalisation import by_moments, normalise


def gradient_by_steps(activation: Callable[[Array], Array], x: Array) -> TypeGuard[Neuron]:
    """Whether `normalise_and_fire` is the way for this activation."""
    return isinstance(activation, Neuron) and x.shape[0] <= MAX_PACKED_STEPS


def normalise_and_fire(
    neuron: Neuron,
    x: Array,
    mean: Array,
    inverse: Array,
    weight: Array,
    scale: Array,
    bias: Array,
    abreast: int = 1,
) -> Array:
    """Spikes of a neuron whose currents are `normalise_by_moments` of `x`: [T, G, ..., n C] -> same shape and dtype.

    The gradient is of both, and goes through the time steps one by one: XLA would compute a neuron's gradients eight
    times, once for each step of an array of them.

    Args:
      neuron: see `hasnn_jax.core.Neuron`.
      x: floating [T, G, ..., n C], T at most `MAX_PACKED_STEPS`.
      mean, inverse, weight, scale, bias, abreast: see `normalise_by_moments`; the first axis of the arrays is 1.
    """
    # Decided here, because the gradient may be traced where what it is compiled for is no longer known.
    normalised, differentiate = _normalised_steps if on_tpu() else normalise, functools.partial(_way(), neuron)

    def spikes(*args):
        return fire(neuron, normalised(*args))

    return by_moments(spikes, differentiate, abreast, x, mean, inverse, weight, scale, bias)


def _normalised_steps(x, mean, weight, bias):
    """The steps are arrays of their own: XLA for TPUs would write all of them before it reads each."""
    return [normalise(step, *(each[0] for each in (mean, weight, bias))) for step in x]


def _way():
    """The way to the gradient of a neuron's currents."""
    if on_gpu():
        return functools.partial(_gradient_in_passes, _written_with_sums)
    if not on_cpu():
        return functools.partial(_gradient_in_passes, _written_alone)
    # XLA's CPU backend computes some unrolled steps again for every later one: a training step of
    # HAS-8-ResNet[b32-m2-d4] then takes 1.4 to 2 times as long to compile, and 1.3 times as long to run.
    # Parts of a divided batch would have to be collected from all devices.
    return _gradient_by_scan if batch_is_partitioned() else _gradient_in_parts


# Each of the following is `differentiate` of `by_moments`, of a neuron; the gradient has the dtype of `x`.


def _gradient_in_passes(written, neuron, x, mean, weight, bias, cotangent):
    """The steps are arrays of their own. What needs all of them is written by one pass, and read by the next.

    XLA would otherwise divide the work in ways that move more bytes: on a GPU, a fifth more.
    """
    mean, weight, bias = (each[0] for each in (mean, weight, bias))
    differences = [step - mean for step in wide_steps(x)]
    currents = [(difference * weight + bias).astype(x.dtype) for difference in differences]
    _, through_time = jax.vjp(neuron.run, wide_steps(currents))
    (gradients,) = through_time(wide_steps(cotangent))
    narrow = [gradient.astype(x.dtype) for gradient in gradients]
    products = [gradient * difference for gradient, difference in zip(wide_steps(narrow), differences, strict=True)]
    # Added up over time before they are over space, in one pass.
    sums = [sum(terms[1:], start=terms[0]) for terms in (wide_steps(narrow), products)]
    narrow, sums = written(narrow, sums, x)
    return narrow, *sums


def _written_with_sums(gradients, sums, x):
    """For GPUs: if only the gradients were written, XLA would compute them again for the sums."""
    gradients, sums = jax.lax.optimization_barrier((gradients, sums))
    return jnp.stack(gradients), sums


def _written_alone(gradients, sums, x):
    """For TPUs: the sums over time are added up over space in the same pass, and never written.

    The steps are put in the places of x's, for which one kernel is enough, and none where a convolution reads them.
    XLA would stack them by a kernel for each, and in another layout than x has.
    """
    time = jax.lax.broadcasted_iota(jnp.int32, x.shape, 0)
    together = x
    for t, gradient in enumerate(jax.lax.optimization_barrier(gradients)):
        together = jnp.where(time == t, gradient[None], together)
    return together, sums


def _gradient_by_scan(neuron, x, mean, weight, bias, cotangent):
    """The steps are those of two loops, forwards and backwards; the membranes between them are kept."""
    mean, weight, bias = (each[0] for each in (mean, weight, bias))

    def current(step):
        return normalise(step, mean, weight, bias).astype(rest.dtype)

    def forwards(membrane, step):
        return neuron.step(membrane, current(step))[0], membrane

    def backwards(carried, of_step):
        of_membrane, of_currents, products = carried
        membrane, step, of_spikes = of_step
        _, through_step = jax.vjp(neuron.step, membrane, current(step))
        of_membrane, of_current = through_step((of_membrane, of_spikes.astype(rest.dtype)))
        of_current = of_current.astype(x.dtype).astype(rest.dtype)
        carried = of_membrane, of_currents + of_current, products + of_current * (step.astype(rest.dtype) - mean)
        return carried, of_current.astype(x.dtype)

    rest = jnp.zeros(x.shape[1:], jnp.promote_types(x.dtype, jnp.float32))
    _, membranes = jax.lax.scan(forwards, rest, x)
    (_, *sums), gradients = jax.lax.scan(backwards, (rest, rest, rest), (membranes, x, cotangent), reverse=True)
    return gradients, *sums


def _gradient_in_parts(neuron, x, mean, weight, bias, cotangent):
    """By scan, part after part of all groups' values, so that the cache holds what is computed in between."""
    groups, channels, sum_shape = x.shape[1], x.shape[-1], (x.shape[1], *(1,) * (x.ndim - 3), x.shape[-1])
    parts = parts_of(math.prod(x.shape[2:-1]), groups * channels)  # in which a time step of all groups fits
    x_parts, cotangent_parts = (a.reshape(len(x), groups, parts, -1, channels) for a in (x, cotangent))
    mean, weight, bias = (each.reshape(1, -1, 1, channels) for each in (mean, weight, bias))

    def differentiate_part(i, carried):
        ahead, *sums = carried  # of the cotangent, whose place the gradient takes
        x_part, cotangent_part = (jax.lax.dynamic_index_in_dim(a, i, 2, False) for a in (x_parts, ahead))
        gradient, *of_part = _gradient_by_scan(neuron, x_part, mean, weight, bias, cotangent_part)
        sums = [total + jnp.sum(each, axis=1, keepdims=True) for total, each in zip(sums, of_part, strict=True)]
        return jax.lax.dynamic_update_index_in_dim(ahead, gradient, i, 2), *sums

    zeros = jnp.zeros((groups, 1, channels), jnp.promote_types(x.dtype, jnp.float32))
    gradients, *sums = jax.lax.fori_loop(0, parts, differentiate_part, (cotangent_parts, zeros, zeros))
    return gradients.reshape(x.shape), *(each.reshape(sum_shape) for each in sums)

"""Decoders: turn the spikes of up to eight time steps back into an array. All of them are linear."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from hasnn_jax.core.bit_planes import PlaneOrder
from hasnn_jax.core.division import divided
from hasnn_jax.core.packing import along_time
from hasnn_jax.core.plane_surrogates import NUM_PLANES

Decoder = Callable[[Array], Array]
WHOLE = 2.0**NUM_PLANES - 1  # the sum of the weights of eight planes


def decode_bit_planes(spikes: Array, plane_order: PlaneOrder = "msb_first") -> Array:
    """Adds up the time steps, weighted by powers of two.

    With `plane_order="msb_first"` the weights are 128, 64, ... from the first step on, divided by 255; this is the
    decoder of both the paper and the release. With "lsb_first" the same weights are used in reverse. If the most
    significant plane comes first, `decode_bit_planes(encode(x))` restores every multiple of 1/255.

    Args:
      spikes: [T, ...], T in 1..8, any dtype.
      plane_order: the order in which the planes were emitted.

    Returns:
      [...], float32 or wider, in [0, 1] if the spikes are 0 and 1.
    """
    spikes = spikes.astype(jnp.promote_types(spikes.dtype, jnp.float32))
    return weighted_mean(spikes, _plane_weights(spikes.shape[0], plane_order), WHOLE)


def _plane_weights(steps: int, plane_order: PlaneOrder) -> tuple[float, ...]:
    weights = tuple(2.0 ** (NUM_PLANES - 1 - t) for t in range(steps))
    return weights if plane_order == "msb_first" else weights[::-1]


def decode_bit_planes_lsb_first(spikes: Array) -> Array:
    """`decode_bit_planes` of spikes whose least significant plane came first."""
    return decode_bit_planes(spikes, "lsb_first")


def decode_rate(spikes: Array) -> Array:
    """Mean over the time steps: [T, ...] -> [...], float32 or wider, in [0, 1] if the spikes are 0 and 1."""
    return jnp.mean(spikes.astype(jnp.promote_types(spikes.dtype, jnp.float32)), axis=0)


def step_weights(decoder: Decoder, steps: int) -> tuple[tuple[float, ...], float] | None:
    """What a decoder of this module multiplies each time step by, and then divides by; None for another function.

    The weights are whole, and add up to 255 or less.
    """
    if decoder is decode_rate:
        return (1.0,) * steps, float(steps)
    orders: dict[Decoder, PlaneOrder] = {decode_bit_planes: "msb_first", decode_bit_planes_lsb_first: "lsb_first"}
    return (_plane_weights(steps, orders[decoder]), WHOLE) if decoder in orders else None


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def weighted_mean(steps: Array, weights: tuple[float, ...], divisor: float) -> Array:
    """The sum of [T, ...] over time, each step times its weight, by the divisor.

    The derivative that JAX would find is a sum of T arrays, each of zeros but for one step, and XLA on CPU writes all.
    """
    # An explicit loop over the steps, because XLA on CPU is slow at a sum over a leading axis of 8.
    total = weights[0] * steps[0]
    for step, weight in zip(steps[1:], weights[1:], strict=True):
        total += weight * step
    return divided(total, divisor)  # a product with 1/255 would make 33 less than 33/255, and lose the lowest bit of it


def _weighted_mean_backward(weights, divisor, _, cotangent):
    shared = divided(cotangent, divisor)  # once for all steps
    return (along_time(jnp.asarray(weights, cotangent.dtype), cotangent.ndim + 1) * shared[None],)


weighted_mean.defvjp(lambda steps, *static: (weighted_mean(steps, *static), None), _weighted_mean_backward)

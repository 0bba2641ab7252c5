"""Bit-plane coding: an array in, eight binary time steps out, and back.

Plane k of a value x in 0..255 is B_k(x) = floor(x / 2^k) mod 2; k = 7 is the most significant. The planes are
the spikes of the time steps. The forward pass is exact; the backward pass replaces each plane's derivative by
that of a smooth surrogate, rescaled by the plane's order:

    dL/dx = sum over k of g_k F_k s_k(x)
"""

import dataclasses
import functools
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array

from hasnn_jax.core.surrogates import (
    NUM_PLANES,
    FourierSine,
    GradientRescaling,
    Surrogate,
    order_aware_rescaling,
    plane_angles,
)
from hasnn_jax.core.value_range import scale_to_unit, value_bounds

PlaneOrder = Literal["msb_first", "lsb_first"]
LowestPlane = Literal["binary", "fractional"]
ValueRange = Literal["running", "example", "batch"]
VectorGradient = Literal["per_plane", "pooled"]


@dataclasses.dataclass(frozen=True)
class BitPlaneCoding:
    """How an array becomes bit planes, and what gradient comes back. Hashable: a static argument to `jit`.

    Attributes:
      surrogate: the smooth wave whose derivative the backward pass uses.
      rescaling: maps a plane's order k (7 the most significant) to the factor F_k on its gradient.
      order: "msb_first" emits plane 7 at t = 0 (the paper), "lsb_first" plane 0 (the release).
      lowest_plane: "binary" floors plane 0 as the others are; "fractional" keeps x mod 2 (the release).
      value_range: whose minimum and maximum bring values into [0, 1]: "batch" (the release), "example", or
        "running", which trains with the batch's and evaluates with a running average.
      planes: how many planes to keep, the highest orders first; also the number of time steps, 1..8.
      vector_gradient: gradient for inputs [batch, features]: "per_plane" is the sum above, "pooled" is
        (sum of g_k)(sum of F_k s_k), what broadcasting makes of it in the release.
    """

    surrogate: Surrogate = FourierSine()
    rescaling: GradientRescaling = order_aware_rescaling
    order: PlaneOrder = "msb_first"
    lowest_plane: LowestPlane = "binary"
    value_range: ValueRange = "running"
    planes: int = NUM_PLANES
    vector_gradient: VectorGradient = "per_plane"

    def __post_init__(self):
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise ValueError(f"{field}: expected one of {', '.join(choices)}; got {getattr(self, field)!r}")
        if not (isinstance(self.planes, int) and 1 <= self.planes <= NUM_PLANES):
            raise ValueError(f"planes: expected a whole number from 1 to {NUM_PLANES}, got {self.planes!r}")

    def time_of(self, order: int) -> int:
        """The time step at which the plane of this order is emitted."""
        return NUM_PLANES - 1 - order if self.order == "msb_first" else order - (NUM_PLANES - self.planes)


_CHOICES: dict[str, tuple[str, ...]] = {
    "order": get_args(PlaneOrder),
    "lowest_plane": get_args(LowestPlane),
    "value_range": get_args(ValueRange),
    "vector_gradient": get_args(VectorGradient),
}


def encode(x: Array, coding: BitPlaneCoding, bounds: tuple[Array, Array] | None = None) -> Array:
    """Splits an array into its bit planes, the spikes of `coding.planes` time steps.

    Args:
      x: floating [...], of any rank and any values; the first axis is the batch.
      coding: planes, order, surrogate gradient and value range.
      bounds: `low` and `high`, the values that become 0 and 255, broadcastable to `x`; values beyond them
        saturate. By default those of the whole array, or of each example where `coding.value_range` is
        "example" ("running" has no memory here: see `hasnn_jax.models.layers.Encoder`).

    Returns:
      Spikes [T, ...] in {0, 1}, in the dtype of `x` (with a "fractional" lowest plane, that plane is in
      [0, 2)).

    Raises:
      TypeError: `x` is not floating.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"x: expected a floating dtype, got {x.dtype}; for 8-bit images pass x.astype('float32') / 255")
    exact = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    if bounds is None:
        bounds = value_bounds(exact, 1 if coding.value_range == "example" else None)
    return bit_planes(255 * scale_to_unit(exact, *bounds), coding).astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def bit_planes(value: Array, coding: BitPlaneCoding) -> Array:
    """The planes of values that are in 0..255 already: floating [...] -> [T, ...], same dtype.

    The custom derivative is the surrogate's; only `value` is kept for it.
    """
    whole = value.astype(jnp.int32)
    planes = []
    for order in _emitted_orders(coding):
        if order == 0 and coding.lowest_plane == "fractional":
            planes.append(value % 2)
        else:
            planes.append(((whole >> order) & 1).astype(value.dtype))
    return jnp.stack(planes)


def _bit_planes_forward(value, coding):
    return bit_planes(value, coding), value


def _bit_planes_backward(coding, value, cotangent):
    pooled = coding.vector_gradient == "pooled" and value.ndim == 2
    gradient = jnp.zeros_like(value)
    for order, sin, cos in plane_angles(value, coding.planes):
        factor = coding.rescaling(order)
        if factor:
            slope = factor * coding.surrogate.slope(sin, cos, 2.0**order)
            gradient += slope if pooled else cotangent[coding.time_of(order)] * slope
    return (cotangent.sum(axis=0) * gradient if pooled else gradient,)


bit_planes.defvjp(_bit_planes_forward, _bit_planes_backward)


def _emitted_orders(coding: BitPlaneCoding) -> list[int]:
    kept = range(NUM_PLANES - coding.planes, NUM_PLANES)
    return sorted(kept, key=coding.time_of)


def decode_bit_planes(spikes: Array, order: PlaneOrder = "msb_first") -> Array:
    """Weighs time steps by powers of two: [T, ...] -> [...], in [0, 1] for one spike train of 0 and 1.

    The weights are 128, 64, ... from the first step on, divided by 255 (`order="msb_first"`, both the paper's
    decoder and the release's), or the same ones backwards. With the most significant plane first,
    `decode_bit_planes(encode(x))` gives back every multiple of 1/255. Returns float32 or wider.
    """
    exponents = [NUM_PLANES - 1 - t for t in range(spikes.shape[0])]
    if order == "lsb_first":
        exponents.reverse()
    spikes = spikes.astype(jnp.promote_types(spikes.dtype, jnp.float32))
    # Written out over the steps: XLA's CPU compiler is slow at reducing over a leading axis of eight.
    total = 2.0 ** exponents[0] * spikes[0]
    for t, exponent in enumerate(exponents[1:], start=1):
        total += 2.0**exponent * spikes[t]
    # XLA turns a division by a constant into a product with its inverse; in float64 33 * (1/255) falls below
    # 33/255, and the next encoder would lose the lowest bit.
    return total / jax.lax.optimization_barrier(jnp.full_like(total, 255))


def decode_rate(spikes: Array) -> Array:
    """Mean over the time steps: [T, ...] -> [...], in [0, 1] for one spike train. Returns float32 or wider."""
    return jnp.mean(spikes.astype(jnp.promote_types(spikes.dtype, jnp.float32)), axis=0)

"""Bit-plane coding: turns an array into eight binary time steps.

Plane k of a value x in 0..255 is B_k(x) = floor(x / 2^k) mod 2; plane 7 is the most significant. Each plane is
the spikes of one time step. The forward pass is exact. The backward pass replaces each plane's derivative by
that of a smooth surrogate s_k, multiplied by a factor F_k that depends on the plane:

    dL/dx = sum over k of g_k F_k s_k(x)
"""

import dataclasses
import functools
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array

from hasnn_jax.core.packing import along_time, computed_once
from hasnn_jax.core.plane_surrogates import (
    NUM_PLANES,
    FourierSine,
    GradientRescaling,
    Surrogate,
    order_aware_rescaling,
    plane_angles,
)
from hasnn_jax.core.value_range import scale_to_own_range, scale_to_unit

PlaneOrder = Literal["msb_first", "lsb_first"]
LowestPlane = Literal["binary", "fractional"]
ValueRange = Literal["running", "example", "batch"]
RangeGradient = Literal["differentiated", "stopped"]
VectorGradient = Literal["per_plane", "pooled"]


@dataclasses.dataclass(frozen=True)
class BitPlaneCoding:
    """How an array is split into bit planes, and which gradient the backward pass uses.

    Instances are hashable, so that a coding can be a static argument of `jax.jit`.

    Attributes:
      surrogate: the smooth wave whose derivative the backward pass uses.
      rescaling: maps a plane k in 0..7 to the factor F_k on its gradient; plane 7 is the most significant.
      plane_order: "msb_first" emits the most significant plane at t = 0 (the paper), "lsb_first" the least
        significant of the kept planes (the release).
      lowest_plane: "binary" rounds plane 0 down like the others; "fractional" keeps x mod 2 (the release).
      value_range: which minimum and maximum map values to [0, 1]: "batch", those of the batch (the release);
        "example", those of each example; or "running", those of the batch in training and a running average in
        evaluation.
      range_gradient: "differentiated" lets the gradient flow through the minimum and maximum too (the release);
        "stopped" takes them for constants.
      planes: how many planes to keep, 1..8, the most significant ones; also the number of time steps.
      vector_gradient: gradient for inputs [batch, features]: "per_plane" is the sum above, "pooled" is
        (sum of g_k)(sum of F_k s_k), which the release computes because of broadcasting.

    Raises:
      ValueError: a field has none of the values listed here.
    """

    surrogate: Surrogate = FourierSine()
    rescaling: GradientRescaling = order_aware_rescaling
    plane_order: PlaneOrder = "msb_first"
    lowest_plane: LowestPlane = "binary"
    value_range: ValueRange = "running"
    range_gradient: RangeGradient = "differentiated"
    planes: int = NUM_PLANES
    vector_gradient: VectorGradient = "per_plane"

    def __post_init__(self):
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise ValueError(f"{field}: expected one of {', '.join(choices)}; got {getattr(self, field)!r}")
        if not (isinstance(self.planes, int) and 1 <= self.planes <= NUM_PLANES):
            raise ValueError(f"planes: expected a whole number from 1 to {NUM_PLANES}, got {self.planes!r}")

    def time_of(self, plane: int) -> int:
        """The time step at which a kept plane is emitted; plane 7 is the most significant."""
        return NUM_PLANES - 1 - plane if self.plane_order == "msb_first" else plane - (NUM_PLANES - self.planes)


_CHOICES: dict[str, tuple[str, ...]] = {
    "plane_order": get_args(PlaneOrder),
    "lowest_plane": get_args(LowestPlane),
    "value_range": get_args(ValueRange),
    "range_gradient": get_args(RangeGradient),
    "vector_gradient": get_args(VectorGradient),
}


def encode(x: Array, coding: BitPlaneCoding, bounds: tuple[Array, Array] | None = None) -> Array:
    """Splits an array into its bit planes, the spikes of `coding.planes` time steps.

    Args:
      x: floating [...], of any rank and with any values; the first axis is the batch.
      coding: number and order of the planes, surrogate gradient and value range.
      bounds: `low` and `high`, the values that map to 0 and 255, broadcastable to `x`; values outside them are
        clipped. The default is the minimum and maximum of the whole array, or of each example if
        `coding.value_range` is "example". This function keeps no running average: for "running", see
        `hasnn_jax.models.layers.Encoder`.

    Returns:
      Spikes [T, ...] in {0, 1}, in the dtype of `x`. A "fractional" lowest plane is in [0, 2).

    Raises:
      TypeError: `x` is not floating.
    """
    _require_floating(x)
    if bounds is None:
        return encode_by_own_range(x, coding, 1 if coding.value_range == "example" else None)[0]
    if coding.range_gradient == "stopped":
        bounds = jax.lax.stop_gradient(bounds)
    unit = scale_to_unit(x.astype(jnp.promote_types(x.dtype, jnp.float32)), *bounds)
    return bit_planes(255 * unit, coding).astype(x.dtype)


def encode_by_own_range(
    x: Array, coding: BitPlaneCoding, group: int | None = None
) -> tuple[Array, tuple[Array, Array]]:
    """`encode` by the minimum and maximum of `x`, and these bounds, through which no gradient flows.

    Args:
      x: floating [B, ...].
      coding: see `encode`; its `value_range` is not looked at.
      group: how many consecutive examples share a range; None for all of them.

    Raises:
      TypeError: `x` is not floating.
      ValueError: the batch is not a whole number of groups.
    """
    _require_floating(x)
    unit, bounds = scale_to_own_range(x, group, coding.range_gradient == "differentiated")
    return bit_planes(255 * unit, coding).astype(x.dtype), bounds


def _require_floating(x):
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"x: expected a floating dtype, got {x.dtype}; for 8-bit images pass x.astype('float32') / 255")


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def bit_planes(value: Array, coding: BitPlaneCoding) -> Array:
    """The planes of values that are already in 0..255: floating [...] -> [T, ...], same dtype.

    The derivative is that of the surrogate. Only `value` is kept for the backward pass.
    """
    kept = along_time(jnp.asarray(_emitted_planes(coding), jnp.uint8), value.ndim + 1)
    whole = computed_once(jnp.floor(value))
    spikes = ((whole[None] >> kept) & 1).astype(value.dtype)
    if coding.lowest_plane == "fractional":
        # Not value - whole: of 255 x - whole a processor may round the difference alone, and 128 is then not 0 mod 2.
        spikes = jnp.where(kept == 0, (value % 2)[None], spikes)
    return spikes


def _bit_planes_forward(value, coding):
    return bit_planes(value, coding), value


def _bit_planes_backward(coding, value, cotangent):
    pooled = coding.vector_gradient == "pooled" and value.ndim == 2
    gradient = jnp.zeros_like(value)
    for plane, sin, cos in plane_angles(value, coding.planes):
        factor = coding.rescaling(plane)
        if factor:
            slope = factor * coding.surrogate.slope(sin, cos, 2.0**plane)
            gradient += slope if pooled else cotangent[coding.time_of(plane)] * slope
    return (cotangent.sum(axis=0) * gradient if pooled else gradient,)


bit_planes.defvjp(_bit_planes_forward, _bit_planes_backward)


def _emitted_planes(coding: BitPlaneCoding) -> list[int]:
    """The kept planes in the order of the time steps."""
    kept = range(NUM_PLANES - coding.planes, NUM_PLANES)
    return sorted(kept, key=coding.time_of)

"""Value ranges: maps activations of any size to [0, 1] before they are split into bit planes.

The rule is that of the release: if all values lie in [0, 1] they are kept, else they are mapped by their minimum
and maximum. The caller chooses which elements share a minimum and maximum: all of them, each example alone, or
groups of consecutive examples. Gradients flow through every operation here, minimum and maximum included.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array

from hasnn_jax.core import reductions
from hasnn_jax.core.division import divided


def value_bounds(x: Array, group: int | None = None) -> tuple[Array, Array]:
    """The values that map to 0 and to 1.

    Args:
      x: floating array [B, ...] (any shape if `group` is None).
      group: how many consecutive examples share their bounds; None for all, 1 for each example alone.

    Returns:
      `low` and `high`, broadcastable to `x`: scalars if `group` is None, else [B, 1, ...]. They are 0 and 1 if
      every value of the group lies in [0, 1], else the minimum and maximum of the group.

    Raises:
      ValueError: the batch is not a whole number of groups.
    """
    grouped, axes = _grouped(x, group)
    return _bounds(x, group, jnp.min(grouped, axes), jnp.max(grouped, axes))


def _grouped(x, group):
    """The examples of a group along an axis of their own, and the axes over which bounds are shared.

    Not flattened: on a TPU that would move all data.
    """
    if group is None:
        return x, tuple(range(x.ndim))
    require_whole_groups(x.shape[0], group)
    grouped = x.reshape(x.shape[0] // group, group, *x.shape[1:])
    return grouped, tuple(range(1, grouped.ndim))


def _bounds(x, group, low, high):
    """`value_bounds`, given the minimum and maximum of each group."""
    already_unit = (low >= 0) & (high <= 1)
    bounds = jnp.where(already_unit, 0.0, low), jnp.where(already_unit, 1.0, high)
    return tuple(_for_examples(each, x, group) for each in bounds)


def _for_examples(values, x, group):
    """Values of each group, broadcastable to `x`."""
    if group is None:
        return values
    return jnp.repeat(values, group).reshape(x.shape[0], *(1,) * (x.ndim - 1))


def scale_to_unit(x: Array, low: Array, high: Array) -> Array:
    """Maps [low, high] to [0, 1] and clips values outside; the result is 1 wherever `low` equals `high`.

    Args:
      x: floating array of any shape.
      low, high: broadcastable to `x`; see `value_bounds`.

    Returns:
      Array in [0, 1], in the shape and dtype of `x`.
    """
    span = high - low
    constant = span <= 0
    unit = (x - low) / jnp.where(constant, 1.0, span)
    # XLA may replace the division by a product with the rounded inverse of the span. The largest value would then be
    # just below 1 and lose its lowest bit plane. So the extremes are set exactly; the gradient is still the division's.
    exact = jnp.where(x >= high, 1.0, jnp.where(x <= low, 0.0, unit))
    unit = unit + jax.lax.stop_gradient(exact - unit)
    # The comparisons are strict so that the extremes themselves have the gradient of a plain division.
    unit = jnp.where(x < low, 0.0, jnp.where(x > high, 1.0, unit))
    return jnp.where(constant, 1.0, unit).astype(x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def scale_to_own_range(
    x: Array, group: int | None = None, bounds_move: bool = True
) -> tuple[Array, tuple[Array, Array]]:
    """`scale_to_unit` by the `value_bounds` of `x` itself, correctly rounded, and these bounds.

    The gradient is worked out by hand: two passes over `x`, one for what the bounds receive, and one for all the rest.

    Args:
      x, group: see `value_bounds`.
      bounds_move: whether the gradient also flows through the minimum and maximum, in equal shares to all elements that
        have them.

    Returns:
      (array in [0, 1] in the shape of `x`, float32 or wider, (low, high)). No gradient flows through this low and high.
    """
    # Otherwise XLA may compute x twice, for the range and for what is scaled, with different rounding. The largest
    # value could then be below the maximum, and lose its lowest bit plane.
    exact = _exact(jax.lax.optimization_barrier(x))
    low, high = _bounds(x, group, *reductions.extremes(*_grouped(exact, group)))
    span = high - low
    unit = divided(exact - low, jnp.where(span <= 0, 1.0, span))
    # The extremes exactly, however a processor divides.
    return jnp.where(exact >= high, 1.0, jnp.where(exact <= low, 0.0, unit)), (low, high)


def _scale_forward(x, group, bounds_move):
    unit, bounds = scale_to_own_range(x, group, bounds_move)
    return (unit, bounds), (x, *bounds)


def _scale_backward(group, bounds_move, kept, cotangents):
    x, low, high = kept
    exact, (of_unit, _) = _exact(x), cotangents
    span = high - low
    span = jnp.where(span <= 0, jnp.inf, span)  # a constant becomes ones, whatever it is
    gradient = divided(of_unit, span)
    if bounds_move:
        gradient += _through_bounds(exact, low, high, of_unit, span, group)
    return (gradient.astype(x.dtype),)


def _through_bounds(x, low, high, of_unit, span, group):
    """The part of the gradient that `x` receives as minimum or maximum: of (x - low) / (high - low)."""
    at_low, at_high = x == low, x == high
    terms = of_unit, of_unit * (x - low), at_low.astype(x.dtype), at_high.astype(x.dtype)
    grouped, (axes, *_) = zip(*(_grouped(each, group) for each in terms), strict=True)
    total, weighted, lows, highs = (_for_examples(each, x, group) for each in reductions.sums(grouped, axes))
    moves = (low != 0) | (high != 1)  # else they are not the minimum and maximum, but 0 and 1
    of_high = jnp.where(moves, -weighted / (span * span), 0.0)
    of_low = jnp.where(moves, -total / span, 0.0) - of_high
    # At least one, also where x was computed again with another rounding and equals none of its bounds.
    lowest, highest = of_low / jnp.maximum(lows, 1), of_high / jnp.maximum(highs, 1)
    return jnp.where(at_low, lowest, 0.0) + jnp.where(at_high, highest, 0.0)


scale_to_own_range.defvjp(_scale_forward, _scale_backward)


def _exact(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def require_whole_groups(batch: int, group: int) -> None:
    """Raises ValueError unless `batch` examples make up a whole number of statistics groups."""
    if group < 1 or batch % group:
        raise ValueError(
            f"statistics group: expected a divisor of the batch of {batch} examples, got {group}; "
            "choose a batch size that is a multiple of the group, or None for the whole batch"
        )

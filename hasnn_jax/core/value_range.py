"""Value ranges: maps activations of any size to [0, 1] before they are split into bit planes.

The rule is that of the release: if all values lie in [0, 1] they are kept, else they are mapped by their minimum
and maximum. The caller chooses which elements share a minimum and maximum: all of them, each example alone, or
groups of consecutive examples. Gradients flow through every operation here, minimum and maximum included.
"""

import jax
import jax.numpy as jnp
from jax import Array


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
    if group is None:
        low, high = jnp.min(x), jnp.max(x)
    else:
        require_whole_groups(x.shape[0], group)
        grouped = x.reshape(x.shape[0] // group, -1)
        per_example = (x.shape[0],) + (1,) * (x.ndim - 1)
        low = jnp.repeat(jnp.min(grouped, axis=1), group).reshape(per_example)
        high = jnp.repeat(jnp.max(grouped, axis=1), group).reshape(per_example)
    already_unit = (low >= 0) & (high <= 1)
    return jnp.where(already_unit, 0.0, low), jnp.where(already_unit, 1.0, high)


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


def require_whole_groups(batch: int, group: int) -> None:
    """Raises ValueError unless `batch` examples make up a whole number of statistics groups."""
    if group < 1 or batch % group:
        raise ValueError(
            f"statistics group: expected a divisor of the batch of {batch} examples, got {group}; "
            "choose a batch size that is a multiple of the group, or None for the whole batch"
        )

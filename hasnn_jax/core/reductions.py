"""Several reductions of the same elements, which a GPU takes by one kernel in place of one for each."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Axes = tuple[int, ...]


def sums(arrays: tuple[Array, ...], axes: Axes) -> tuple[Array, ...]:
    """The sum of each array over the axes.

    Args:
      arrays: of the same shape and floating dtype.
      axes: that are reduced, 0 or above.
    """
    at_once = functools.partial(sums_at_once, axes=axes)
    return jax.lax.platform_dependent(
        arrays, cuda=at_once, rocm=at_once, default=functools.partial(sums_apart, axes=axes)
    )


def sums_apart(arrays: tuple[Array, ...], axes: Axes) -> tuple[Array, ...]:
    """`sums` by a reduction of each."""
    return tuple(jnp.sum(x, axes) for x in arrays)


def sums_at_once(arrays: tuple[Array, ...], axes: Axes) -> tuple[Array, ...]:
    """`sums` by one reduction."""
    zeros = tuple(jnp.zeros((), x.dtype) for x in arrays)
    return jax.lax.reduce(arrays, zeros, lambda one, other: jax.tree.map(jnp.add, one, other), axes)


def extremes(x: Array, axes: Axes) -> tuple[Array, Array]:
    """The minimum and the maximum of a floating array over the axes, which are 0 or above."""
    at_once = functools.partial(extremes_at_once, axes=axes)
    return jax.lax.platform_dependent(
        x, cuda=at_once, rocm=at_once, default=functools.partial(extremes_apart, axes=axes)
    )


def extremes_apart(x: Array, axes: Axes) -> tuple[Array, Array]:
    """`extremes` by a reduction of each."""
    return jnp.min(x, axes), jnp.max(x, axes)


def extremes_at_once(x: Array, axes: Axes) -> tuple[Array, Array]:
    """`extremes` by one reduction."""
    least_of_none, most_of_none = jnp.asarray(np.inf, x.dtype), jnp.asarray(-np.inf, x.dtype)

    def both(one, other):
        return jnp.minimum(one[0], other[0]), jnp.maximum(one[1], other[1])

    return jax.lax.reduce((x, x), (least_of_none, most_of_none), both, axes)

"""Several reductions of the same elements, which a GPU takes by one kernel in place of one for each."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Axes = tuple[int, ...]


def sums(arrays: tuple[Array, ...], axes: Axes) -> tuple[Array, ...]:
    """The sum of each array over the axes.

    At once only if these are next to each other: XLA's kernel for several reductions needs that, where for a single one
    it rearranges the array.

    Args:
      arrays: of the same shape and floating dtype.
      axes: that are reduced, 0 or above.
    """
    apart, at_once = functools.partial(sums_apart, axes=axes), functools.partial(sums_at_once, axes=axes)
    on_gpu = at_once if _adjacent(axes, arrays[0].shape) else apart
    return jax.lax.platform_dependent(arrays, cuda=on_gpu, rocm=on_gpu, default=apart)


def _adjacent(axes, shape):
    """Whether no axis of more than one element lies between those that are reduced."""
    reduced = [axis in axes for axis, size in enumerate(shape) if size > 1]
    return sum(of_reduced for of_reduced, _ in itertools.groupby(reduced)) <= 1


def sums_apart(arrays: tuple[Array, ...], axes: Axes) -> tuple[Array, ...]:
    """`sums` by a reduction of each."""
    return tuple(jnp.sum(x, axes) for x in arrays)


def sums_at_once(arrays: tuple[Array, ...], axes: Axes) -> tuple[Array, ...]:
    """`sums` by one reduction."""
    zeros = tuple(jnp.zeros((), x.dtype) for x in arrays)
    return jax.lax.reduce(arrays, zeros, lambda one, other: jax.tree.map(jnp.add, one, other), axes)


def extremes(x: Array, axes: Axes) -> tuple[Array, Array]:
    """The minimum and the maximum of a floating array over axes next to each other, which are 0 or above."""
    apart, at_once = functools.partial(extremes_apart, axes=axes), functools.partial(extremes_at_once, axes=axes)
    return jax.lax.platform_dependent(x, cuda=at_once, rocm=at_once, default=apart)


def extremes_apart(x: Array, axes: Axes) -> tuple[Array, Array]:
    """`extremes` by a reduction of each."""
    return jnp.min(x, axes), jnp.max(x, axes)


def extremes_at_once(x: Array, axes: Axes) -> tuple[Array, Array]:
    """`extremes` by one reduction."""
    least_of_none, most_of_none = jnp.asarray(np.inf, x.dtype), jnp.asarray(-np.inf, x.dtype)

    def both(one, other):
        return jnp.minimum(one[0], other[0]), jnp.maximum(one[1], other[1])

    return jax.lax.reduce((x, x), (least_of_none, most_of_none), both, axes)

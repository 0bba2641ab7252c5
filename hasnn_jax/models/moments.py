"""Mean and variance in one pass over an array."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from hasnn_jax.core import reductions
from hasnn_jax.models.abreast import for_each, mean_of_each
from hasnn_jax.models.cache_parts import parts_of
from hasnn_jax.models.compile_target import batch_is_partitioned, on_cpu


def moments(x: Array, near: Array, axes: tuple[int, ...], abreast: int = 1) -> tuple[Array, Array]:
    """Mean and biased variance, with the reduced axes kept as axes of size 1.

    No gradient flows through them: see `hasnn_jax.models.normalisation.normalise_by_moments`, which has it.

    Sums of differences and of their squares are taken together. The differences are those from `near` and not from the
    mean, which would have to be known before. The nearer the two are, the fewer digits cancel.

    Args:
      x: floating [..., C].
      near: [C], values of about the size of the mean.
      axes: that are reduced: all but the last one, and perhaps but one other.
      abreast: how many images are side by side in the last axis of `x`; they are reduced as well.
    """
    # Parts of a divided batch would have to be collected from all devices.
    means = _means_in_parts if on_cpu() and not batch_is_partitioned() else _means
    x, near = jax.lax.stop_gradient((x, near.astype(x.dtype).reshape((1,) * (x.ndim - 1) + near.shape)))
    offset, square = (mean_of_each(each, abreast) for each in means(x, for_each(near, abreast), axes))
    return from_differences(near, offset, square)


def from_differences(near: Array, offset: Array, square: Array) -> tuple[Array, Array]:
    """Mean and biased variance, given the means of x - near and of its square."""
    return near + offset, jnp.maximum(square - offset * offset, 0)


def _means(x, near, axes):
    """The means of x - near and of its square."""
    difference = x - near
    n = math.prod(x.shape[axis] for axis in axes)
    sums = reductions.sums((difference, difference * difference), axes)
    return tuple(jnp.expand_dims(each / n, axes) for each in sums)


def _means_in_parts(x, near, axes):
    """The same, part after part: XLA's CPU backend writes x - near to memory, and takes up to six times as long."""
    kept = [a for a in range(x.ndim - 1) if a not in axes and x.shape[a] > 1]
    before, groups = (math.prod(x.shape[: kept[0]]), x.shape[kept[0]]) if kept else (1, 1)
    rows, channels = x.size // (before * groups * x.shape[-1]), x.shape[-1]
    parts = parts_of(rows, before * groups * channels)
    if parts == 1:
        return _means(x, near, axes)
    in_parts = x.reshape(before, groups, parts, -1, channels)
    near = near.reshape(1, 1, 1, channels)

    def add(i, sums):
        difference = jax.lax.dynamic_index_in_dim(in_parts, i, 2, keepdims=False) - near
        return sums[0] + jnp.sum(difference, (0, 2)), sums[1] + jnp.sum(difference * difference, (0, 2))

    zeros = jnp.zeros((groups, channels), x.dtype)
    sums = jax.lax.fori_loop(0, parts, add, (zeros, zeros))
    shape = [1 if a in axes else size for a, size in enumerate(x.shape)]
    return tuple(total.reshape(shape) / (before * rows) for total in sums)

"""Pooling of [..., H, W, C]. All time steps are treated alike."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax.models.compile_target import on_cpu
from hasnn_jax.models.time_folding import time_folded


def average_pool(x: Array, window: int, stride: int, padding: int = 0) -> Array:
    """Average pooling; the mean includes the zeros of the padding, as in PyTorch by default."""
    if on_cpu() and (window, stride, padding) == (3, 2, 1) and x.shape[-3] % 2 == x.shape[-2] % 2 == 0:
        return time_folded(_average_of_three, x)
    return _pool(nn.avg_pool, x, window, stride, padding)


def max_pool(x: Array, window: int, stride: int, padding: int = 0) -> Array:
    """Max pooling; the padding is never the maximum."""
    return _pool(nn.max_pool, x, window, stride, padding)


def global_average_pool(x: Array) -> Array:
    """Mean over space: [..., H, W, C] -> [..., C]."""
    return jnp.mean(x, axis=(-3, -2))


def _pool(pool, x, window, stride, padding):
    pads = ((padding, padding), (padding, padding))
    return time_folded(lambda images: pool(images, (window, window), (stride, stride), pads), x)


@jax.custom_vjp
def _average_of_three(x: Array) -> Array:
    """Windows of 3 x 3, two pixels apart, with a padding of 1; height and width are even.

    XLA's gradient of it takes four times as long on a CPU.
    """
    return nn.avg_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))


def _backward(_, cotangent):
    return (_spread(_spread(cotangent / 9, axis=1), axis=2),)


def _spread(y, axis):
    """The gradient of sums of three along an axis: an even pixel lies in one window, an odd one in two."""
    pads = [(0, 0, 0)] * y.ndim
    pads[axis] = (-1, 1, 0)
    following = jax.lax.pad(y, jnp.zeros((), y.dtype), pads)
    odd = jax.lax.broadcasted_iota(jnp.int32, (*y.shape[:axis], 2 * y.shape[axis], *y.shape[axis + 1 :]), axis) % 2 == 1
    return jnp.repeat(y, 2, axis) + jnp.where(odd, jnp.repeat(following, 2, axis), 0)


_average_of_three.defvjp(lambda x: (_average_of_three(x), None), _backward)

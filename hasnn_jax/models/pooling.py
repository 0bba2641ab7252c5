"""Pooling of [..., H, W, C]. All time steps are treated alike."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax.models.compile_target import on_cpu, on_gpu, on_tpu
from hasnn_jax.models.time_folding import time_folded


def average_pool(x: Array, window: int, stride: int, padding: int = 0) -> Array:
    """Average pooling; the mean includes the zeros of the padding, as in PyTorch by default."""
    if on_cpu() and _halving(x, window, stride, padding):
        return time_folded(_average_of_three, x)
    return _pool(nn.avg_pool, x, window, stride, padding)


def max_pool(x: Array, window: int, stride: int, padding: int = 0) -> Array:
    """Max pooling; the padding is never the maximum. The gradient goes to the first of several largest values."""
    if (on_cpu() or on_gpu()) and _halving(x, window, stride, padding):
        return time_folded(_largest_of_three, x)
    return _pool(nn.max_pool, x, window, stride, padding)


def global_average_pool(x: Array) -> Array:
    """Mean over space: [..., H, W, C] -> [..., C]."""
    return jnp.mean(x, axis=(-3, -2))


def _pool(pool, x, window, stride, padding):
    def pool_images(images):
        return pool(images, (window, window), (stride, stride), ((padding, padding), (padding, padding)))

    # A TPU's neurons read the gradient's steps one by one. Folded into the batch, they would be copied apart.
    return jax.vmap(pool_images)(x) if on_tpu() and x.ndim == 5 else time_folded(pool_images, x)


def _halving(x, window, stride, padding):
    """Whether windows of 3 x 3, two pixels apart, halve an even height and width."""
    return (window, stride, padding) == (3, 2, 1) and x.shape[-3] % 2 == x.shape[-2] % 2 == 0


def _is_odd(shape, axis):
    """Whether the index along the axis is odd, for every element of an array of this shape."""
    return jax.lax.broadcasted_iota(jnp.int32, shape, axis) % 2 == 1


@jax.custom_vjp
def _average_of_three(x: Array) -> Array:
    """Windows of 3 x 3, two pixels apart, with a padding of 1; height and width are even.

    XLA's gradient of it takes four times as long on a CPU. And there a sum of nine slices is fused with the decoder
    that follows, a sum over windows is not.
    """
    height, width = x.shape[1:3]
    padded = jax.lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), (1, 0, 0), (1, 0, 0), (0, 0, 0)))
    places = [padded[:, row : row + height : 2, column : column + width : 2] for row in range(3) for column in range(3)]
    return sum(places[1:], start=places[0]) / 9


def _average_backward(_, cotangent):
    return (_spread(_spread(cotangent / 9, axis=1), axis=2),)


def _spread(y, axis):
    """The gradient of sums of three along an axis: an even pixel lies in one window, an odd one in two."""
    pads = [(0, 0, 0)] * y.ndim
    pads[axis] = (-1, 1, 0)
    following = jax.lax.pad(y, jnp.zeros((), y.dtype), pads)
    each = jnp.repeat(y, 2, axis)
    return each + jnp.where(_is_odd(each.shape, axis), jnp.repeat(following, 2, axis), 0)


_average_of_three.defvjp(lambda x: (_average_of_three(x), None), _average_backward)


@jax.custom_vjp
def _largest_of_three(x: Array) -> Array:
    """Windows of 3 x 3, two pixels apart, with a padding of 1; height and width are even.

    XLA's gradient of it cannot be fused with what is around it: on a GPU that is a fifth of the bytes of the ANN paths.
    On a CPU, forward pass and gradient take three to four times as long, and seven times the memory.
    """
    return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))


def _largest_forward(x):
    """Also returns where in its window each maximum is: 0..8, row by row, as uint8."""
    height, width = x.shape[1:3]
    padded = jax.lax.pad(x, jnp.array(-jnp.inf, x.dtype), ((0, 0, 0), (1, 0, 0), (1, 0, 0), (0, 0, 0)))
    largest = padded[:, 0:height:2, 0:width:2]
    where = jnp.zeros(largest.shape, jnp.uint8)
    for place in range(1, 9):
        row, column = divmod(place, 3)
        value = padded[:, row : row + height : 2, column : column + width : 2]
        larger = (value > largest) | jnp.isnan(value)
        largest, where = jnp.where(larger, value, largest), jnp.where(larger, jnp.uint8(place), where)
    return largest, where


def _largest_backward(where, cotangent):
    """A pixel gets the gradient of every window that it is the maximum of. There are up to two along each axis."""
    total = jnp.zeros((), jnp.promote_types(cotangent.dtype, jnp.float32))
    for rows in (0, 1):
        for columns in (0, 1):
            pads = ((0, 0, 0), (-rows, rows, 0), (-columns, columns, 0), (0, 0, 0))
            gradient, place = (
                jnp.repeat(jnp.repeat(jax.lax.pad(each, jnp.zeros((), each.dtype), pads), 2, 1), 2, 2)
                for each in (cotangent, where)
            )
            here = 3 * _place_in_window(gradient.shape, 1, rows) + _place_in_window(gradient.shape, 2, columns)
            total += jnp.where(place == here, gradient.astype(total.dtype), 0)
    return (total.astype(cotangent.dtype),)


def _place_in_window(shape, axis, following):
    """Where pixels 2i and 2i + 1 of an axis are in window i + following: 0, 1, 2; 9 for 2i, which is not in i + 1."""
    odd = _is_odd(shape, axis)
    return jnp.where(odd, 0, 9) if following else jnp.where(odd, 2, 1)


_largest_of_three.defvjp(_largest_forward, _largest_backward)

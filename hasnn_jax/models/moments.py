"""Mean and variance in one pass over an array."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def moments(x: Array, near: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Mean and biased variance, with the reduced axes kept as axes of size 1.

    Sums of differences and of their squares are taken together. The differences are those from `near` and not from the
    mean, which would have to be known before. The nearer the two are, the fewer digits cancel.

    Args:
      x: floating [..., C].
      near: [C], values of about the size of the mean; no gradient flows to them.
      axes: that are reduced; not the last one.
    """
    near = near.astype(x.dtype).reshape((1,) * (x.ndim - 1) + near.shape)
    difference = x - near
    offset = jnp.mean(difference, axes, keepdims=True)
    square = jnp.mean(difference * difference, axes, keepdims=True)
    return near + offset, jnp.maximum(square - offset * offset, 0)


def _forward(x, near, axes):
    mean, var = moments(x, near, axes)
    return (mean, var), (x, near, mean)


def _backward(axes, kept, cotangents):
    x, near, mean = kept
    n = math.prod(x.shape[a] for a in axes)
    of_mean, of_var = cotangents
    return of_mean / n + (x - mean) * (2 / n * of_var), jnp.zeros_like(near)


moments.defvjp(_forward, _backward)

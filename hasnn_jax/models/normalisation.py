"""Normalisation with given statistics, and its gradient where they are those of what is normalised."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from hasnn_jax.core import reductions
from hasnn_jax.models.abreast import for_each, mean_of_each


def normalise(x: Array, mean: Array, weight: Array, bias: Array) -> Array:
    """(x - mean) weight + bias, computed in float32 or wider, in the dtype of `x`.

    Args:
      x: floating, of any shape.
      mean, weight, bias: broadcastable to `x`.
    """
    exact = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return ((exact - mean) * weight + bias).astype(x.dtype)


def normalise_by_moments(
    x: Array, mean: Array, inverse: Array, weight: Array, scale: Array, bias: Array, abreast: int = 1
) -> Array:
    """`normalise` by the moments of `x` itself: [..., G, ..., n C] -> same shape and dtype.

    The gradient of `x` is the whole one, with what flows through the mean and the deviation: added to the rest in a
    pass of its own, that would be written and read once more. For the backward pass only the arguments are kept.

    Args:
      x: floating [..., G, ..., n C].
      mean, inverse: of `x`, the mean and 1 by the deviation of a group's channel: [..., G, ..., C] with 1 for all other
        axes. No gradient is returned for them.
      weight: `inverse` times `scale`, computed once for both passes. No gradient is returned for it.
      scale, bias: [..., G, ..., C] or [..., 1, ..., C] with 1 for all other axes.
      abreast: n, how often the channels are side by side; see `hasnn_jax.models.abreast`.
    """
    return by_moments(normalise, _sums_of_gradient, abreast, x, mean, inverse, weight, scale, bias)


def _sums_of_gradient(x, mean, weight, bias, cotangent):
    """`differentiate` of `by_moments`, where the gradient of what is normalised is known: the cotangent."""
    exact = cotangent.astype(jnp.promote_types(x.dtype, jnp.float32))
    return cotangent, exact, exact * (x.astype(exact.dtype) - mean)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def by_moments(
    compute: Callable[..., Array],
    differentiate: Callable[..., tuple[Any, Array, Array]],
    abreast: int,
    x: Array,
    mean: Array,
    inverse: Array,
    weight: Array,
    scale: Array,
    bias: Array,
) -> Array:
    """What is computed from `normalise_by_moments`, with one gradient for both.

    Args:
      compute: (x, mean, weight, bias) -> the result, of which the last three are for each of those abreast.
      differentiate: (x, mean, weight, bias, cotangent) -> the gradient of what is normalised, in the shape of `x`; and,
        summed over time and perhaps over more, the same and the same times x - mean.
      abreast, x, mean, inverse, weight, scale, bias: see `normalise_by_moments`.
    """
    return compute(x, *(for_each(each, abreast) for each in (mean, weight, bias)))


def _forward(compute, differentiate, abreast, x, mean, inverse, weight, scale, bias):
    # Does not call the function above: in there, the policy of a `jax.checkpoint` would not find the packed spikes.
    y = compute(x, *(for_each(each, abreast) for each in (mean, weight, bias)))
    return y, (x, mean, inverse, weight, scale, bias)


def _backward(compute, differentiate, abreast, kept, cotangent):
    x, mean, inverse, weight, scale, bias = kept
    of_channels = (for_each(each, abreast) for each in (mean, weight, bias))
    of_normalised, total, products = differentiate(x, *of_channels, cotangent)
    total, products = _totals(total, products, inverse, abreast)
    n = x.size // total.size
    by_channel, by_element = functools.partial(_by_channel, n, abreast), functools.partial(_by_element, n, abreast)
    args = x, of_normalised, mean, inverse, weight, total, products
    of_x = jax.lax.platform_dependent(*args, cuda=by_element, rocm=by_element, default=by_channel)
    return of_x, None, None, None, _summed(products, like=scale), _summed(total, like=bias)


by_moments.defvjp(_forward, _backward)


# x moves neither the mean nor the deviation of what is normalised: the following take these parts out of its gradient.
# `total` is the sum of gradients of the n values of a channel, `products` that of their products with the normalised.


def _by_channel(n, abreast, x, of_normalised, mean, inverse, weight, total, products):
    """What is the same for a channel is computed once."""
    values = mean, weight, total / n, inverse * products / n
    mean, weight, constant, slope = (for_each(each, abreast) for each in values)
    exact, difference = of_normalised.astype(constant.dtype), x.astype(constant.dtype) - mean
    return without_statistics(exact, difference, weight, constant, slope).astype(x.dtype)


def without_statistics(of_normalised: Array, difference: Array, weight: Array, constant: Array, slope: Array) -> Array:
    """The gradient of x, given that of what is normalised, x - mean, and what is the same for a channel."""
    return weight * (of_normalised - constant - difference * slope)


def _by_element(n, abreast, x, of_normalised, mean, inverse, weight, total, products):
    """What is the same for a channel is computed for each element: on a GPU it would take a kernel of its own."""
    values = mean, inverse, weight, total, products
    mean, inverse, weight, total, products = (for_each(each, abreast) for each in values)
    exact, normalised = of_normalised.astype(mean.dtype), (x.astype(mean.dtype) - mean) * inverse
    return (weight * (exact - (total + normalised * products) * (1 / n))).astype(x.dtype)


def _totals(total, products, inverse, abreast):
    """Of a gradient, and of its products with x - mean: the sums for a channel of it and of its products with what is
    normalised, in the shape of `inverse`. The arrays may lack the first of its axes.
    """
    of_each = for_each(inverse, abreast)
    of_each = of_each.reshape(of_each.shape[of_each.ndim - total.ndim :])
    axes = tuple(a for a, (size, kept) in enumerate(zip(total.shape, of_each.shape, strict=True)) if kept < size)
    sums = reductions.sums((total, products * of_each), axes)
    return (abreast * mean_of_each(each, abreast).reshape(inverse.shape) for each in sums)


def _summed(x, like):
    """The gradient of a broadcast of `like` to the shape of `x`."""
    axes = tuple(a for a, (size, kept) in enumerate(zip(x.shape, like.shape, strict=True)) if kept < size)
    return jnp.sum(x, axes, keepdims=True)

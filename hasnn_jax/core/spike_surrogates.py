"""Surrogate derivatives of the spike, which the backward pass uses instead of the derivative of the step function.

A neuron fires if its membrane reaches the threshold: spike = H(u) with u = membrane - threshold and
H(u) = 1 for u >= 0, else 0. The derivative of H is zero almost everywhere, so each class here defines another
one. All are frozen dataclasses: hashable, comparable, and usable as static arguments of `jax.jit`.

References: arctan, Fang et al. 2021 (arXiv 2007.05785); sigmoid, Neftci et al. 2019 (arXiv 1901.09948);
fast sigmoid, Zenke & Ganguli 2018 (arXiv 1705.11146); triangle, Bellec et al. 2018 (arXiv 1803.09574);
rectangle, Wu et al. 2018 (arXiv 1706.02609).
"""

import dataclasses
import functools
import math
from typing import Protocol

import jax
import jax.numpy as jnp
from jax import Array


class SpikeSurrogate(Protocol):
    """The interface of a surrogate: any hashable object with a method `derivative`."""

    def derivative(self, u: Array) -> Array:
        """The replacement for dH/du, elementwise, in the shape and dtype of `u`."""
        ...


@dataclasses.dataclass(frozen=True)
class ArcTan:
    """(alpha / 2) / (1 + (pi/2 * alpha * u)^2): the default of the paper and of the release."""

    alpha: float = 2.0

    def derivative(self, u: Array) -> Array:
        return (self.alpha / 2) / (1 + (math.pi / 2 * self.alpha * u) ** 2)


@dataclasses.dataclass(frozen=True)
class Sigmoid:
    """alpha * s(alpha u) * (1 - s(alpha u)), with s the logistic function."""

    alpha: float = 4.0

    def derivative(self, u: Array) -> Array:
        s = jax.nn.sigmoid(self.alpha * u)
        return self.alpha * s * jax.nn.sigmoid(-self.alpha * u)  # 1 - s, without cancellation


@dataclasses.dataclass(frozen=True)
class FastSigmoid:
    """1 / (1 + alpha |u|)^2, as in SuperSpike."""

    alpha: float = 10.0

    def derivative(self, u: Array) -> Array:
        return 1 / (1 + self.alpha * jnp.abs(u)) ** 2


@dataclasses.dataclass(frozen=True)
class Triangle:
    """gamma * max(0, 1 - |u| / width)."""

    gamma: float = 1.0
    width: float = 1.0

    def derivative(self, u: Array) -> Array:
        return self.gamma * jnp.maximum(0, 1 - jnp.abs(u) / self.width)


@dataclasses.dataclass(frozen=True)
class Rectangle:
    """1 / width if |u| < width / 2, else 0."""

    width: float = 1.0

    def derivative(self, u: Array) -> Array:
        return jnp.where(jnp.abs(u) < self.width / 2, 1 / self.width, 0).astype(u.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def spike(u: Array, surrogate: SpikeSurrogate) -> Array:
    """H(u): 1 if `u` >= 0, else 0, in the shape and dtype of `u`. Its derivative is that of the surrogate."""
    return (u >= 0).astype(u.dtype)


@spike.defjvp
def _spike_jvp(surrogate, primals, tangents):
    (u,), (du,) = primals, tangents
    return spike(u, surrogate), surrogate.derivative(u) * du

"""Surrogate derivatives of the spike: what the backward pass puts in place of the step's derivative.

A neuron fires where its membrane reaches the threshold: spike = H(u) with u = membrane - threshold and
H(u) = 1 for u >= 0. H has no useful derivative, so each class here supplies one. All are frozen
dataclasses: hashable, comparable, and safe as static arguments of `jax.jit`.

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
    """Anything hashable with a `derivative`; a user's own class needs nothing more."""

    def derivative(self, u: Array) -> Array:
        """Derivative that stands in for dH/du, elementwise, in the shape and dtype of `u`."""
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
        return self.alpha * s * jax.nn.sigmoid(-self.alpha * u)  # 1 - s, without its cancellation


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
    """1 / width where |u| < width / 2, else 0."""

    width: float = 1.0

    def derivative(self, u: Array) -> Array:
        return jnp.where(jnp.abs(u) < self.width / 2, 1 / self.width, 0).astype(u.dtype)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def spike(u: Array, surrogate: SpikeSurrogate) -> Array:
    """H(u): 1 where `u` >= 0, else 0, in the shape and dtype of `u`; its derivative is the surrogate's."""
    return (u >= 0).astype(u.dtype)


@spike.defjvp
def _spike_jvp(surrogate, primals, tangents):
    (u,), (du,) = primals, tangents
    return spike(u, surrogate), surrogate.derivative(u) * du

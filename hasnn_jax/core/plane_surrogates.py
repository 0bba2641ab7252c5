"""Surrogate gradients of the bit-plane encoder.

Bit plane k of a value x in 0..255 is a square wave with half period c = 2^k. Its derivative is zero almost
everywhere, so the backward pass uses the derivative of a smooth periodic wave instead. Every such wave is a
function of the angle theta = pi x / c, so a surrogate needs only sin(theta) and cos(theta). The angle doubles
from one plane to the next lower one, so one sine and one cosine are enough for all eight planes.

The derivatives are those of the paper's surrogate gradients, in the exact form that the release computes.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from jax import Array

GradientRescaling = Callable[[int], float]
NUM_PLANES = 8


@dataclasses.dataclass(frozen=True)
class PowerRescaling:
    """F_k = gain k^order 2^(exponent (k - 7)): the factor on the gradient of plane k; plane 7 is the most significant.

    The paper's rescaling is one of them, and so is its ablation.

    Attributes:
      order: power of the plane's index.
      exponent: of 2, per plane.
      gain: of all planes. The encoder's input is scaled by 255, and so is its gradient.

    Raises:
      ValueError: the factor of a plane is not finite.
    """

    order: float = 1
    exponent: float = 1
    gain: float = 1

    def __post_init__(self):
        try:
            finite = all(math.isfinite(self(plane)) for plane in range(NUM_PLANES))
        except (TypeError, ZeroDivisionError, OverflowError):
            finite = False
        if not finite:
            raise ValueError(f"expected numbers, and an order of 0 or more (plane 0 has index 0); got {self}")

    def __call__(self, plane: int) -> float:
        return self.gain * plane**self.order * 2.0 ** (self.exponent * (plane - (NUM_PLANES - 1)))


order_aware_rescaling = PowerRescaling()
"""F_k = k / 2^(7-k), the paper's."""

no_rescaling = PowerRescaling(order=0, exponent=0)
"""F_k = 1: every plane's surrogate gradient stays as it is, as in the paper's ablation."""

unit_gain_rescaling = PowerRescaling(order=0, exponent=1, gain=3 / 256)
"""F_k = (3 / 256) 2^(k-7). With FourierSine's constant slope of 1/2, a gradient that passes a decoder and an encoder
keeps its size on average: the sum over k of 2^k F_k / 2 is 1. With the paper's rescaling it is 569."""


def plane_angles(x: Array, planes: int = NUM_PLANES) -> Iterator[tuple[int, Array, Array]]:
    """Yields (k, sin(pi x / 2^k), cos(pi x / 2^k)) for the `planes` most significant planes k, from 7 downwards.

    Args:
      x: floating array of any shape, values in 0..255.
      planes: how many planes, 1..8.
    """
    sin, cos = jnp.sin(x * (math.pi / 128)), jnp.cos(x * (math.pi / 128))
    for plane in range(NUM_PLANES - 1, NUM_PLANES - 1 - planes, -1):
        yield plane, sin, cos
        sin, cos = 2 * sin * cos, 2 * cos * cos - 1


@dataclasses.dataclass(frozen=True)
class Surrogate:
    """A smooth periodic wave that replaces the bit planes in the backward pass.

    To try another shape, write a subclass, decorate it with `@dataclasses.dataclass(frozen=True)` and define
    `value` and `slope`; it then works in `BitPlaneCoding` and in every model.
    """

    def value(self, sin: Array, cos: Array) -> Array:
        """The wave at an angle, about 0..1, from the sine and cosine of the angle."""
        raise TypeError(f"{type(self).__name__} defines no value(sin, cos)")

    def slope(self, sin: Array, cos: Array, half_period: float) -> Array:
        """Derivative with respect to x, from sin(pi x / c), cos(pi x / c) and the half period c = 2^k."""
        raise TypeError(f"{type(self).__name__} defines no slope(sin, cos, half_period)")

    def wave(self, x: Array) -> Array:
        """The smooth planes: x [...] in 0..255 -> [8, ...], least significant plane first."""
        return jnp.stack([self.value(sin, cos) for _, sin, cos in plane_angles(x)][::-1])

    def derivative(self, x: Array, rescaling: GradientRescaling = no_rescaling) -> Array:
        """The planes' surrogate derivatives: x [...] in 0..255 -> [8, ...], least significant plane first.

        `rescaling` maps a plane to the factor on its derivative; the paper uses `order_aware_rescaling`.
        """
        slopes = [rescaling(plane) * self.slope(sin, cos, 2.0**plane) for plane, sin, cos in plane_angles(x)]
        return jnp.stack(slopes[::-1])


@dataclasses.dataclass(frozen=True)
class SigSine(Surrogate):
    """Sigmoid of a sine: sigmoid(alpha sin(theta)).

    Attributes:
      alpha: sharpness. It is negative because a plane is 1 where its sine is negative. The release uses -10.
    """

    alpha: float = -10.0

    def value(self, sin: Array, cos: Array) -> Array:
        return jax.nn.sigmoid(self.alpha * sin)

    def slope(self, sin: Array, cos: Array, half_period: float) -> Array:
        s = jax.nn.sigmoid(self.alpha * sin)
        # 1 - s loses its digits where s is near 1; sigmoid(-u) is the same number without the cancellation.
        return s * jax.nn.sigmoid(-self.alpha * sin) * (self.alpha * math.pi / half_period) * cos


@dataclasses.dataclass(frozen=True)
class TanhSine(Surrogate):
    """Half of one plus the tanh of a sine: (1 + tanh(alpha sin(theta))) / 2.

    Attributes:
      alpha: sharpness; negative, as in SigSine. The release uses -10.
    """

    alpha: float = -10.0

    def value(self, sin: Array, cos: Array) -> Array:
        return (1 + jnp.tanh(self.alpha * sin)) / 2

    def slope(self, sin: Array, cos: Array, half_period: float) -> Array:
        # sech^2(u) = 4 s(2u) s(-2u) with s the logistic function. This is accurate in the tails; 1 - tanh^2 is not.
        u = 2 * self.alpha * sin
        half_sech2 = 2 * jax.nn.sigmoid(u) * jax.nn.sigmoid(-u)
        return half_sech2 * (self.alpha * math.pi / half_period) * cos


@dataclasses.dataclass(frozen=True)
class FourierSine(Surrogate):
    """The square wave's Fourier series, cut after `order` odd harmonics n = 1, 3, ..., 2 order - 1.

    The wave is 1/2 - sum of 2 / (n pi) sin(n theta). Its slope is offset - sum of (2 / c) cos(n theta). The
    derivative of the series has no constant term; the release adds one of 1/2. Under order-aware rescaling it
    passes the gradient straight through the high planes.

    Attributes:
      order: number of odd harmonics, >= 1. The release uses 5.
      offset: constant added to every plane's derivative.

    Raises:
      ValueError: `order` is not a whole number of 1 or more.
    """

    order: int = 5
    offset: float = 0.5

    def __post_init__(self):
        if not (isinstance(self.order, int) and self.order >= 1):
            raise ValueError(f"order: expected a whole number of harmonics, 1 or more, got {self.order!r}")

    def value(self, sin: Array, cos: Array) -> Array:
        double_cos = 2 * (2 * cos * cos - 1)
        previous, current, total = -sin, sin, jnp.zeros_like(sin)
        for n in range(1, 2 * self.order, 2):
            total += current / n
            previous, current = current, double_cos * current - previous
        return 0.5 - (2 / math.pi) * total

    def slope(self, sin: Array, cos: Array, half_period: float) -> Array:
        # cos((n + 2) theta) = 2 cos(2 theta) cos(n theta) - cos((n - 2) theta), so no other cosine is computed.
        double_cos = 2 * (2 * cos * cos - 1)
        previous, current, total = cos, cos, jnp.zeros_like(cos)
        for _ in range(self.order):
            total += current
            previous, current = current, double_cos * current - previous
        return self.offset - (2 / half_period) * total


@dataclasses.dataclass(frozen=True)
class ConstantSlope(Surrogate):
    """A straight-through estimator: every plane has the same slope everywhere. FourierSine without its waves.

    Attributes:
      steepness: the slope, per grey level.
    """

    steepness: float = 0.5

    def value(self, sin: Array, cos: Array) -> Array:
        """No function of the angle has this slope; the mean of the planes."""
        return jnp.full_like(sin, 0.5)

    def slope(self, sin: Array, cos: Array, half_period: float) -> Array:
        return jnp.full_like(sin, self.steepness)

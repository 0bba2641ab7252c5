"""Spiking neurons: integrate-and-fire (IF) and leaky integrate-and-fire (LIF), scanned over time.

A neuron is a frozen dataclass without state: every call of `neuron(currents)` starts from a membrane of 0.
One time step adds the input current x to the membrane v, fires a spike s if the result h reaches the threshold,
and then resets the membrane of a neuron that fired:

    IF:   h[t] = v[t-1] + x[t]
    LIF:  h[t] = v[t-1] + (x[t] - v[t-1]) / tau          (decay_input=True)
          h[t] = v[t-1] - v[t-1] / tau + x[t]            (decay_input=False)
    s[t] = H(h[t] - threshold)
    v[t] = h[t] (1 - s[t])                               (reset="hard", to zero)
    v[t] = h[t] - threshold s[t]                         (reset="soft", by subtraction)
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.ad_checkpoint import checkpoint_name

from hasnn_jax.core.packing import computed_once, unpack
from hasnn_jax.core.spike_surrogates import ArcTan, SpikeSurrogate, spike

Reset = Literal["hard", "soft"]
MAX_PACKED_STEPS = 8  # a byte holds so many
PACKED_SPIKES = "packed_spikes"  # for the policies of `jax.checkpoint`


@dataclasses.dataclass(frozen=True)
class Neuron:
    """Base class of IF and LIF; a subclass defines how the membrane charges.

    Attributes:
      threshold: membrane value at which the neuron fires, > 0, in the units of the input current.
      reset: "hard" sets the membrane of a neuron that fired to 0, "soft" subtracts the threshold.
      detach_reset: whether to stop the gradient through the reset.
      surrogate: replaces the derivative of the spike in the backward pass.

    Raises:
      ValueError: a field has none of the values listed here.
    """

    threshold: float = 1.0
    reset: Reset = "hard"
    detach_reset: bool = False
    surrogate: SpikeSurrogate = ArcTan()

    def __post_init__(self):
        if not self.threshold > 0:
            raise ValueError(f"threshold: expected a number above 0, got {self.threshold!r}")
        if self.reset not in ("hard", "soft"):
            raise ValueError(f"reset: expected 'hard' or 'soft', got {self.reset!r}")

    def charge(self, v: Array, x: Array) -> Array:
        """Membrane h after adding the current `x` of one step to the membrane `v`, before firing."""
        raise TypeError(f"{type(self).__name__} does not define how its membrane charges; use IF or LIF")

    def step(self, v: Array, x: Array) -> tuple[Array, Array]:
        """Runs one time step: membrane and current -> membrane after the reset, and spikes (0 or 1)."""
        h = self.charge(v, x)
        s = spike(h - self.threshold, self.surrogate)
        fired = jax.lax.stop_gradient(s) if self.detach_reset else s
        v = h * (1 - fired) if self.reset == "hard" else h - self.threshold * fired
        return v, s

    def run(self, currents: list[Array]) -> list[Array]:
        """The spikes of every step, from a membrane of 0: currents and spikes are arrays of their own, one a step."""
        v, spikes = jnp.zeros_like(currents[0]), []
        for x in currents:
            v, s = self.step(v, x)
            spikes.append(s)
        return spikes

    def trace(self, currents: Array) -> tuple[Array, Array]:
        """Runs over time and also returns the membrane: `currents` [T, ...] -> spikes, membranes, both [T, ...].

        The membranes are those after the reset. Both results are float32 (float64 for float64 currents).
        """

        def step(v, x):
            v, s = self.step(v, x)
            return v, (s, v)

        _require_time_axis(currents)
        return self._scan(step, currents)

    def __call__(self, currents: Array) -> Array:
        """Runs over time: `currents` [T, ...], floating, any value -> spikes [T, ...] in {0, 1}, same dtype.

        The membrane is float32 (float64 for float64 currents), also for currents of a narrower dtype.

        Raises:
          ValueError: there is no time step.
          TypeError: the currents are not floating.
        """
        _require_time_axis(currents)
        if currents.shape[0] <= MAX_PACKED_STEPS:
            return _spikes(self, currents)
        return jax.checkpoint(lambda x: self._scan(self.step, x))(currents).astype(currents.dtype)

    @staticmethod
    def _scan(step, currents):
        currents = currents.astype(jnp.promote_types(currents.dtype, jnp.float32))
        rest = jnp.zeros_like(currents[0])
        return jax.lax.scan(step, rest, currents, unroll=min(currents.shape[0], 8))[1]


@dataclasses.dataclass(frozen=True)
class IF(Neuron):
    """Integrate-and-fire: the paper's neuron."""

    def charge(self, v: Array, x: Array) -> Array:
        return v + x


@dataclasses.dataclass(frozen=True)
class LIF(Neuron):
    """Leaky integrate-and-fire: the release's neuron, which uses tau = 2 and a decayed input.

    Attributes:
      tau: membrane time constant in time steps, > 1.
      decay_input: whether the input current is divided by tau as well.
    """

    tau: float = 2.0
    decay_input: bool = True

    def __post_init__(self):
        super().__post_init__()
        if not (math.isfinite(self.tau) and self.tau > 1):
            raise ValueError(f"tau: expected a finite number above 1, got {self.tau!r}")

    def charge(self, v: Array, x: Array) -> Array:
        return v + (x - v) / self.tau if self.decay_input else v - v / self.tau + x


def fire(neuron: Neuron, currents: Array | list[Array]) -> Array:
    """The spikes of up to eight steps, in one pass over the currents that yields one byte for all steps of a neuron.

    The currents are [T, ...], or their steps as arrays of their own. Its gradient is left to what calls it.
    """
    steps = list(currents)
    spikes = neuron.run(wide_steps(steps))
    packed = sum((2.0 ** (7 - t) * s for t, s in enumerate(spikes)), start=jnp.zeros_like(spikes[0]))
    packed = checkpoint_name(computed_once(packed), PACKED_SPIKES)
    return unpack(packed, len(spikes), steps[0].dtype)


def wide_steps(x: Iterable[Array]) -> list[Array]:
    """The time steps of [T, ...] as arrays of their own, float32 or wider."""
    return [step.astype(jnp.promote_types(step.dtype, jnp.float32)) for step in x]


# Only the currents are kept for the backward pass, which recomputes the membranes: that is cheap.
_spikes = jax.custom_vjp(fire, nondiff_argnums=(0,))


def _spikes_forward(neuron, currents):
    return fire(neuron, currents), currents


def _spikes_backward(neuron, currents, cotangent):
    # The steps are arrays of their own, so that each gradient is narrowed before it is written.
    _, through_time = jax.vjp(neuron.run, wide_steps(currents))
    (gradients,) = through_time(wide_steps(cotangent))
    return (jnp.stack([gradient.astype(currents.dtype) for gradient in gradients]),)


_spikes.defvjp(_spikes_forward, _spikes_backward)


def _require_time_axis(currents: Array) -> None:
    if currents.ndim == 0 or currents.shape[0] == 0:
        raise ValueError(
            f"currents: expected an array [T, ...] with at least one time step, got shape {tuple(currents.shape)}"
        )
    if not jnp.issubdtype(currents.dtype, jnp.floating):
        raise TypeError(f"currents: expected a floating dtype, got {currents.dtype}; use currents.astype('float32')")

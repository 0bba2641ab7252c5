"""Stores up to eight binary time steps in one byte: a spike train in 1/32 of the memory of float32."""

import jax
import jax.numpy as jnp
from jax import Array


def pack(spikes: Array) -> Array:
    """Packs spikes [T, ...] of 0 and 1, T <= 8, into uint8 [...]; step t becomes bit 7 - t.

    If `encode` emits the most significant plane first, the packed bytes are therefore the values 0..255 themselves.

    Raises:
      ValueError: T is not in 1..8.
    """
    _require_steps(spikes.shape[0] if spikes.ndim else 0)
    bits = spikes.astype(jnp.uint8)
    shifts = jnp.arange(7, 7 - spikes.shape[0], -1, dtype=jnp.uint8)
    return jnp.sum(bits << along_time(shifts, spikes.ndim), axis=0, dtype=jnp.uint8)


def unpack(packed: Array, steps: int = 8, dtype=jnp.float32) -> Array:
    """Unpacks uint8 [...] into spikes [steps, ...] of 0 and 1 in `dtype`; the inverse of `pack`.

    Raises:
      ValueError: `steps` is not in 1..8.
      TypeError: `packed` is not uint8.
    """
    _require_steps(steps)
    if packed.dtype != jnp.uint8:
        raise TypeError(f"packed: expected uint8, got {packed.dtype}")
    shifts = jnp.arange(7, 7 - steps, -1, dtype=jnp.uint8)
    return ((packed[None] >> along_time(shifts, packed.ndim + 1)) & 1).astype(dtype)


def computed_once(whole: Array) -> Array:
    """Whole numbers 0..255 as uint8, so that XLA does not compute them again for every time step that is unpacked.

    `jax.lax.optimization_barrier` does not prevent that on a CPU, where it is gone before operations are fused. But no
    compiler repeats a square root for each of several results; this one is exact, and hides that it changes nothing.

    Args:
      whole: floating array of any shape.
    """
    zero = jax.lax.optimization_barrier(jnp.zeros((), whole.dtype))  # hides that this is the root of a square
    return jax.lax.optimization_barrier(jnp.sqrt(whole * (whole + zero)).astype(jnp.uint8))


def along_time(values: Array, ndim: int) -> Array:
    """One value for each time step, [T], shaped to broadcast against an array [T, ...] of `ndim` axes."""
    return values.reshape((-1,) + (1,) * (ndim - 1))


def _require_steps(steps: int) -> None:
    if not 1 <= steps <= 8:
        raise ValueError(f"a byte holds 1 to 8 time steps, got {steps}")

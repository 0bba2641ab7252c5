"""What a convolution keeps of its input for the gradient of its kernel, where that is less than the input itself.

For GPUs: what is kept is what a training step's memory is taken by.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from hasnn_jax.core import pack


@dataclasses.dataclass(frozen=True)
class Kept:
    """A form in which an input is kept.

    Attributes:
      keep: input -> what is kept.
      restore: (what is kept, dtype) -> the input in that dtype.
      waits: whether it is restored only when the cotangent is there. Otherwise two convolutions of the same input share
        what is restored; but if nothing else holds it back, XLA may restore it in the forward pass, and hold it.
    """

    keep: Callable[[Array], Array]
    restore: Callable[[Array, jnp.dtype], Array]
    waits: bool


def _unpacked(packed, dtype, steps):
    # By steps, not by an array of shifts: XLA would unpack the spikes of several layers by one kernel, and hold them.
    return jnp.stack([((packed >> (7 - t)) & 1).astype(dtype) for t in range(steps)])


def as_bytes(steps: int) -> Kept:
    """Spikes [T, ...] of zeros and ones as one byte for all time steps."""
    return Kept(pack, functools.partial(_unpacked, steps=steps), waits=False)


AS_IT_IS = Kept(lambda x: x, lambda x, dtype: x.astype(dtype), waits=True)
"""An input that is kept for something else anyway, in a wider dtype than the convolution's."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def convolve_kept(kept: Kept, convolve: Callable[[Array, Array], Array], x: Array, kernel: Array) -> Array:
    """`convolve(x, kernel)` in the dtype of the kernel.

    Args:
      kept: what of x is kept.
      convolve: linear in both of its arguments.
      x: floating.
      kernel: floating.
    """
    return convolve(x.astype(kernel.dtype), kernel)


def _forward(kept, convolve, x, kernel):
    return convolve_kept(kept, convolve, x, kernel), (kept.keep(x), kernel, jnp.zeros((), x.dtype))


def _backward(kept, convolve, residuals, cotangent):
    of_input, kernel, zero = residuals
    # Hidden from XLA, which would keep the input that it has.
    if kept.waits:
        of_input, cotangent = jax.lax.optimization_barrier((of_input, cotangent))
    else:
        of_input = jax.lax.optimization_barrier(of_input)
    x = kept.restore(of_input, kernel.dtype)
    _, differentiate = jax.vjp(functools.partial(convolve, x), kernel)
    (of_kernel,) = differentiate(cotangent)
    # One after the other, so that the input is gone before its gradient is there.
    cotangent, of_kernel = jax.lax.optimization_barrier((cotangent, of_kernel))
    _, differentiate = jax.vjp(lambda x: convolve(x, kernel), x)
    (of_x,) = differentiate(cotangent)
    return of_x.astype(zero.dtype), of_kernel


convolve_kept.defvjp(_forward, _backward)

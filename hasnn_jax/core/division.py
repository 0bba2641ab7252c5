"""A division that is not replaced by a product."""

import jax
import jax.numpy as jnp
from jax import Array


def divided(x: Array, divisor: Array | float) -> Array:
    """The quotient, correctly rounded and computed once; its gradient is not for use.

    XLA would replace a division by a constant, or by one number for all elements, by a product with the rounded
    inverse. And what is cheaper than a division it computes again, with all that it depends on, for each of several
    results. So every element has a divisor of its own; that they are all the same is hidden.

    Args:
      x: floating and finite, of any shape.
      divisor: a number, or an array that can be broadcast to `x`; it may be infinite.
    """
    zero = jax.lax.optimization_barrier(jnp.zeros((), x.dtype))
    return x / (divisor + zero * x)

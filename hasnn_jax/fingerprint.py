"""A short text that tells whether a tree of arrays is the one that it was taken of, to the bit."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


def fingerprint(tree: Any) -> str:
    """Fingerprint of a tree of arrays: the same however they are laid out over devices and processes.

    Names and values count, not the kinds of the tree's nodes. Any change of one element changes it for certain, other
    damage but for one case in 2^32 an array. It is computed where the arrays lie; all processes that share them call it
    together.
    """
    paths = jax.tree_util.tree_leaves_with_path(tree)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in paths}
    names = sorted(named)
    sums = np.asarray(_sums([named[name] for name in names]))
    shapes = [(name, named[name].shape, str(named[name].dtype)) for name in names]
    return hashlib.sha256(repr((shapes, sums.tolist())).encode()).hexdigest()


@jax.jit
def _sums(leaves: list[Array]) -> Array:
    return jnp.stack([_weighted_sum(leaf) for leaf in leaves])


def _weighted_sum(x: Array) -> Array:
    """Sum modulo 2^32 of an array's bits, each word times an odd number of its own: uint32 scalar.

    The product of a word's change with an odd number is never 0, and a sum of integers does not depend on its order.
    """
    if x.dtype.itemsize == 8:
        words = jax.lax.bitcast_convert_type(x, jnp.uint32)  # [..., 2]
    elif x.dtype == jnp.bool_:
        words = x.astype(jnp.uint32)
    else:
        bits = jax.lax.bitcast_convert_type(x, jnp.dtype(f"uint{8 * x.dtype.itemsize}"))
        words = bits.astype(jnp.uint32)
    place = jnp.zeros(words.shape, jnp.uint32)
    for axis, size in enumerate(words.shape):  # row-major position, without an array that must be moved or reshaped
        place = place * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis)
    return jnp.sum(words * (place * jnp.uint32(0x9E3779B2) + jnp.uint32(1)), dtype=jnp.uint32)

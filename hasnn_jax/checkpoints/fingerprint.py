"""A short text by which a tree of arrays is recognised as unchanged, to the bit."""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

ODD = 0x9E3779B3  # the word at place p is multiplied by p (ODD - 1) + 1, which is odd


def fingerprint(tree: Any) -> str:
    """Fingerprint of a tree of arrays: the same for any sharding over devices and processes.

    It depends on the leaves' names, shapes, dtypes and values, not on the types of the tree's nodes. A change of one
    element always changes it; any other damage goes unnoticed in one case out of 2^32 per array. It is computed where
    the arrays are: by NumPy, without a compilation, where that can see them, else on the devices, and then all
    processes that share the arrays call it together.
    """
    named = named_leaves(tree)
    names = sorted(named)
    leaves = [named[name] for name in names]
    on_host = all(_is_on_host(leaf) for leaf in leaves)
    sums = np.asarray([_weighted_sum_on_host(np.asarray(leaf)) for leaf in leaves] if on_host else _sums(leaves))
    shapes = [(name, named[name].shape, str(named[name].dtype)) for name in names]
    return hashlib.sha256(repr((shapes, sums.tolist())).encode()).hexdigest()


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by name, such as "params/stem/ann/conv/kernel", in the tree's own order."""
    return {leaf_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def leaf_name(path: Any) -> str:
    """A leaf's name, from its path in the tree."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _is_on_host(leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray):
        return True
    return leaf.is_fully_addressable and all(device.platform == "cpu" for device in leaf.devices())


@jax.jit
def _sums(leaves: list[Array]) -> Array:
    return jnp.stack([_weighted_sum(leaf) for leaf in leaves])


def _weighted_sum(x: Array) -> Array:
    """Sum of an array's bits modulo 2^32, each word multiplied by an odd number of its own: uint32 scalar.

    The difference that a change makes to a word, times an odd number, is never 0 modulo 2^32. A sum of integers does
    not depend on the order of its terms.
    """
    if x.dtype.itemsize == 8:
        words = jax.lax.bitcast_convert_type(x, jnp.uint32)  # [..., 2]
    elif x.dtype == jnp.bool_:
        words = x.astype(jnp.uint32)
    else:
        bits = jax.lax.bitcast_convert_type(x, jnp.dtype(f"uint{8 * x.dtype.itemsize}"))
        words = bits.astype(jnp.uint32)
    place = jnp.zeros(words.shape, jnp.uint32)
    for axis, size in enumerate(
        words.shape
    ):  # position in row-major order, computed without a reshape, which would move sharded data
        place = place * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis)
    return jnp.sum(words * (place * jnp.uint32(ODD - 1) + jnp.uint32(1)), dtype=jnp.uint32)


def _weighted_sum_on_host(x: np.ndarray) -> np.uint32:
    """The same sum, of an array of NumPy's."""
    values = np.ravel(x)
    words = values if x.dtype == bool else values.view(f"uint{8 * min(4, x.dtype.itemsize)}")
    words = words.astype(np.uint32)
    place = np.arange(words.size, dtype=np.uint32)
    return np.sum(words * (place * np.uint32(ODD - 1) + np.uint32(1)), dtype=np.uint32)

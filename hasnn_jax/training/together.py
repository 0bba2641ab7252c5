"""Many arrays as parts of few, so that a GPU works on all of them by few kernels."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

MOST_TOGETHER = 128  # arrays; a kernel is not given any number of them


def pays_off(mesh: Mesh, *, fully_sharded: bool) -> bool:
    """Whether a training step over the mesh is better off with its gradients `written_together`.

    From gradients to new parameters, a GPU then starts 72 kernels for HAS-8-ResNet[b32-m2-d4], and 306 otherwise.
    Arrays that are sharded along their own axes would have to be collected.
    """
    return mesh.devices.flat[0].platform in ("gpu", "cuda", "rocm") and not fully_sharded


def written_together(tree: Any) -> tuple[Any, list[Array]]:
    """The tree, whose arrays are read from few long ones; and these, each of one dtype.

    XLA joins operations on several arrays into one kernel if they read a common one.

    Args:
      tree: arrays of any shapes and dtypes.
    """
    leaves, structure = jax.tree.flatten(tree)
    of_dtype: dict[Any, list[int]] = {}
    for index, leaf in enumerate(leaves):
        of_dtype.setdefault(leaf.dtype, []).append(index)
    long = []
    for indices in of_dtype.values():
        for begin in range(0, len(indices), MOST_TOGETHER):
            some = indices[begin : begin + MOST_TOGETHER]
            # The barrier keeps XLA from reading each array from where it was before.
            long.append(jax.lax.optimization_barrier(jnp.concatenate([leaves[i].reshape(-1) for i in some])))
            ends = np.cumsum([leaves[i].size for i in some]).tolist()
            for i, end in zip(some, ends, strict=True):
                leaves[i] = long[-1][end - leaves[i].size : end].reshape(leaves[i].shape)
    return jax.tree.unflatten(structure, leaves), long

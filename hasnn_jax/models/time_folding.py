"""Lets a function of images [N, H, W, C] run on all time steps at once."""

import functools
from collections.abc import Callable

import jax
from jax import Array
from jax.sharding import PartitionSpec

from hasnn_jax.models.compile_target import dividing_mesh


def time_folded(function: Callable[..., Array], x: Array, *weights: Array) -> Array:
    """Applies a function of images [N, H, W, C] and weights to [B, H, W, C], or to [T, B, H, W, C] with N = T B.

    Time is the outer part of N, as in memory, so that folding moves no data. If the compiler divides the batch among
    devices, each of them folds its own share: N as a whole could not be divided so without moving data.
    """
    if x.ndim == 4:
        return function(x, *weights)
    fold, mesh = functools.partial(_folded, function), dividing_mesh()
    if mesh is None:
        return fold(x, *weights)
    of_batch, whole = PartitionSpec(None, mesh.axis_names[0]), PartitionSpec()
    on_each_device = jax.shard_map(
        fold,
        mesh=mesh,
        in_specs=(of_batch, *(whole for _ in weights)),
        out_specs=of_batch,
        check_vma=False,  # the gradients of custom functions are not annotated with what differs between devices
    )
    return on_each_device(x, *weights)


def _folded(function, x, *weights):
    y = function(x.reshape((-1, *x.shape[2:])), *weights)
    return y.reshape((*x.shape[:2], *y.shape[1:]))

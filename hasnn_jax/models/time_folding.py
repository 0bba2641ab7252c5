"""Lets a function of images [N, H, W, C] run on all time steps at once."""

from collections.abc import Callable

from jax import Array

from hasnn_jax.models.compile_target import batch_is_partitioned


def time_folded(function: Callable[[Array], Array], x: Array) -> Array:
    """Applies a function of images [N, H, W, C] to [B, H, W, C], or to [T, B, H, W, C] with N = T B.

    Time is the outer part of N, as in memory, so that folding moves no data. If the compiler divides the batch among
    devices, the batch is the outer part instead: N is then divided in the same way, and no data moves between devices.
    """
    if x.ndim == 4:
        return function(x)
    if batch_is_partitioned():
        return _folded(function, x.swapaxes(0, 1)).swapaxes(0, 1)
    return _folded(function, x)


def _folded(function, x):
    y = function(x.reshape((-1, *x.shape[2:])))
    return y.reshape((*x.shape[:2], *y.shape[1:]))

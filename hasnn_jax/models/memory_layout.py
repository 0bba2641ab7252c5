"""How arrays lie in a TPU's memory, where XLA's own choice costs copies of all time steps."""

import jax
from jax import Array
from jax.experimental.layout import Layout, with_layout_constraint

from hasnn_jax.models.compile_target import devices_of_batch, on_tpu

# A TPU's registers, and its tiles of memory, are 8 rows of 128 values.
TILE_ROWS = 8
LANES = 128


def for_activation(x: Array) -> Array:
    """What a layer yields, in the layout in which statistics and activation read it; the values are the same.

    A convolution for a TPU yields pixel by pixel the values of all images and time steps. If the images of a step fill
    whole tiles, its steps can be read apart from each other as they are, but XLA would copy them. Otherwise it does,
    once: without the barrier it would twice, the second time in float32 for the statistics.

    Args:
      x: [T, G, B, H, W, C], the B images of G statistics groups; or [G, B, H, W, C].
    """
    if not on_tpu():
        return x
    if x.ndim == 6 and _fills_tiles(*x.shape[1:3]):
        time, group, batch, height, width, channel = range(6)
        return with_layout_constraint(x, Layout((group, height, width, time, batch, channel)))
    return jax.lax.optimization_barrier(x)


def for_convolution(x: Array) -> Array:
    """What a convolution reads, and the gradient that it yields, in the same layout; the values are the same.

    Left alone are images [B, H, W, C], and fewer channels than fill a row: XLA has better layouts for them.

    Args:
      x: [T, B, H, W, C].
    """
    if not (on_tpu() and x.ndim == 5 and x.shape[-1] >= LANES and _fills_tiles(1, x.shape[1])):
        return x
    time, batch, height, width, channel = range(5)
    return with_layout_constraint(x, Layout((height, width, time, batch, channel)))


def _fills_tiles(groups, images):
    """Whether those of a group on a device do."""
    return min(images, groups * images // devices_of_batch()) % TILE_ROWS == 0

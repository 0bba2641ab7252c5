"""How arrays lie in a TPU's memory, where XLA's own choice costs copies of all time steps."""

import jax
from jax import Array
from jax.experimental.layout import Layout, with_layout_constraint

from hasnn_jax.models.compile_target import devices_of_batch, on_tpu

TILE_ROWS = 8  # a TPU's registers, and its tiles of memory, are 8 rows of 128 values


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
    if x.ndim == 6 and _images_of_step(x) % TILE_ROWS == 0:
        time, group, batch, height, width, channel = range(6)
        return with_layout_constraint(x, Layout((group, height, width, time, batch, channel)))
    return jax.lax.optimization_barrier(x)


def _images_of_step(x):
    """Of a group, on a device."""
    _, groups, images = x.shape[:3]
    return min(images, groups * images // devices_of_batch())

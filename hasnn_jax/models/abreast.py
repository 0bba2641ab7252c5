"""Images side by side in the channels, so that a TPU's rows of 128 values are full where layers have fewer channels.

With n images abreast, [B, H, W, C] is [B / n, H, W, n C]: n consecutive images, each with its channels. What layers
compute of an image stays the same. That a kernel has zeros between images costs a TPU nothing, because its matrix unit
has 128 rows and columns whether they are used or not.
"""

import math

import jax.numpy as jnp
from jax import Array

from hasnn_jax.models.compile_target import devices_of_batch, on_tpu

LANES = 128  # values in a row


def images_abreast(batch: int, channels: int, group: int | None) -> int:
    """How many images are to be abreast: as many as fill a row of a TPU, and 1 on other platforms.

    Args:
      batch: images, on all devices together.
      channels: of an image, in the layers that take most of the time.
      group: how many consecutive images share statistics; None for all. Those abreast do, and are on one device.
    """
    share, rest = divmod(batch, devices_of_batch())
    if rest or not on_tpu():
        return 1
    fitting, together = 1, math.gcd(share, group or share)
    while 2 * fitting * channels <= LANES and together % (2 * fitting) == 0:
        fitting *= 2
    return fitting


def lay_abreast(x: Array, n: int) -> Array:
    """[B, H, W, C] -> [B / n, H, W, n C]."""
    if n == 1:
        return x
    batch, height, width, channels = x.shape
    x = x.reshape(batch // n, n, height, width, channels).transpose(0, 2, 3, 1, 4)
    return x.reshape(batch // n, height, width, n * channels)


def lay_apart(x: Array, n: int) -> Array:
    """The inverse of `lay_abreast`: [B / n, H, W, n C] -> [B, H, W, C]."""
    if n == 1:
        return x
    rows, height, width, channels = x.shape
    x = x.reshape(rows, height, width, n, channels // n).transpose(0, 3, 1, 2, 4)
    return x.reshape(rows * n, height, width, channels // n)


def for_each(values: Array, n: int) -> Array:
    """Values of channels for each of the images abreast: [..., C] -> [..., n C]."""
    return values if n == 1 else jnp.tile(values, n)


def mean_of_each(values: Array, n: int) -> Array:
    """The means over the images abreast: [..., n C] -> [..., C]."""
    return values if n == 1 else values.reshape(*values.shape[:-1], n, -1).mean(-2)


def block_diagonal(kernel: Array, n: int) -> Array:
    """A kernel for images abreast, with zeros between any two of them: [k, k, C, F] -> [k, k, n C, n F]."""
    if n == 1:
        return kernel
    k, _, channels, features = kernel.shape
    blocks = jnp.eye(n, dtype=kernel.dtype).reshape(1, 1, n, 1, n, 1) * kernel[:, :, None, :, None, :]
    return blocks.reshape(k, k, n * channels, n * features)

"""Images side by side in the channels, so that a TPU's rows of 128 values are full where layers have fewer channels.

With n images abreast, [B, H, W, C] is [B / n, H, W, n C]: n consecutive images, each with its channels. What layers
compute of an image stays the same. That a kernel has zeros between images costs a TPU nothing, because its matrix unit
has 128 rows and columns whether they are used or not.

Neighbouring pixels of a row can be abreast as well: with p of them, [B / n, H, W / p, n p C]. That leaves more images
in the batch, which fill the 8 rows of a tile; layers must not have a stride then, nor pool.
"""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jax import Array

from hasnn_jax.models.compile_target import devices_of_batch, on_tpu
from hasnn_jax.models.memory_layout import LANES, TILE_ROWS


@dataclasses.dataclass(frozen=True)
class Abreast:
    """What is side by side in the channels: so many images, and of each so many pixels of a row."""

    images: int = 1
    pixels: int = 1

    @property
    def count(self) -> int:
        """How often the channels of a pixel are there, side by side."""
        return self.images * self.pixels


ALONE = Abreast()


def what_to_lay_abreast(shape: tuple[int, ...], channels: int, group: int | None, strided: bool) -> Abreast:
    """As many images and pixels as fill a row of a TPU; on other platforms, none.

    Args:
      shape: of the images [B, H, W, C], B on all devices together.
      channels: of a pixel, in the layers that take most of the time.
      group: how many consecutive images share statistics; None for all. Those abreast do, and are on one device.
      strided: whether a layer has a stride or pools, so that pixels cannot be abreast.
    """
    batch, _, width, _ = shape
    share, rest = divmod(batch, devices_of_batch())
    if rest or not on_tpu():
        return ALONE
    together = math.gcd(share, group or share)
    images = 1
    while 2 * images * channels <= LANES and together % (2 * images) == 0:
        images *= 2
    if not strided:
        for pixels in (2**i for i in range(images.bit_length())):
            rows = together // (images // pixels)
            if rows % TILE_ROWS == 0 and width % pixels == 0:
                return Abreast(images // pixels, pixels)
    return Abreast(images)


def lay_abreast(x: Array, n: Abreast) -> Array:
    """[B, H, W, C] -> [B / images, H, W / pixels, count C]."""
    if n == ALONE:
        return x
    batch, height, width, channels = x.shape
    pixels = _pixels_together(width, n)
    x = x.reshape(batch // n.images, n.images, height, width // pixels, pixels, channels)
    x = x.transpose(0, 2, 3, 4, 1, 5)
    return x.reshape(x.shape[0], height, width // n.pixels, n.count * channels)


def lay_apart(x: Array, n: Abreast) -> Array:
    """The inverse of `lay_abreast`: [B / images, H, W / pixels, count C] -> [B, H, W, C]."""
    if n == ALONE:
        return x
    rows, height, width, channels = x.shape
    width, channels = width * n.pixels, channels // n.count
    pixels = _pixels_together(width, n)
    x = x.reshape(rows, height, width // pixels, pixels, n.images, channels).transpose(0, 4, 1, 2, 3, 5)
    return x.reshape(rows * n.images, height, width, channels)


def _pixels_together(width, n):
    """Pairs even where pixels are not abreast: if they are in the next block, XLA sees that no image has to move."""
    return n.pixels if n.pixels > 1 or width % 2 else 2


def for_each(values: Array, n: int) -> Array:
    """Values of channels for each of n side by side: [..., C] -> [..., n C]."""
    return values if n == 1 else jnp.tile(values, n)


def mean_of_each(values: Array, n: int) -> Array:
    """The means over the n side by side: [..., n C] -> [..., C]."""
    return values if n == 1 else values.reshape(*values.shape[:-1], n, -1).mean(-2)


def kernel_for_each(kernel: Array, n: Abreast) -> Array:
    """A kernel for what is abreast, with zeros between any two images: [k, k, C, F], k odd -> [k, k, count C, count F].

    Between two pixels it has the weights that join them, and zeros if they are too far apart.
    """
    if n == ALONE:
        return kernel
    k, _, channels, features = kernel.shape
    joins = jnp.asarray(_joins(k, n), kernel.dtype)[None, :, :, :, :, None, :, :, None]
    joined = jnp.sum(kernel.reshape(k, k, 1, 1, 1, channels, 1, 1, features) * joins, axis=1)
    return joined.reshape(k, k, n.count * channels, n.count * features)


def _joins(k, n):
    """Whether a column of the kernel joins two pixels: [column, offset, *pixel and image, *pixel and image]."""
    column, offset, of_input, of_output = np.ogrid[:k, :k, : n.pixels, : n.pixels]
    joins = column == n.pixels * (offset - k // 2) + of_input - of_output + k // 2
    return joins[:, :, :, None, :, None] & np.eye(n.images, dtype=bool)[:, None, :]

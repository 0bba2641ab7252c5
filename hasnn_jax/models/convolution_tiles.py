"""What the kernels of `hasnn_jax.models.convolution_kernels` do with a tile of pixels.

A tile is so many pixels of the result, of one image or of several, with all of their features: [M, F].
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import pallas as pl

try:
    from jax.experimental.pallas import triton
except ImportError:  # JAX means to remove it; see `hasnn_jax.models.convolution_kernels.available`
    triton: Any = None  # type: ignore[no-redef]  # mypy knows the module alone

SMALLEST = 16  # rows and columns of a product by tensor cores


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a kernel is made for.

    Attributes:
      groups: of images that share statistics; they follow one another.
      images, height, width, channels: of what is convolved, images of a group.
      kernel, stride, features: of the convolution, which pads by kernel // 2 on every side.
      steps: time steps; what is convolved are bytes, and step t is bit 7 - t of them. 0: they are images as they are.
      dtype: of the factors that are multiplied, and of the currents.
    """

    groups: int
    images: int
    height: int
    width: int
    channels: int
    kernel: int
    stride: int
    features: int
    steps: int
    dtype: Any

    @property
    def result(self) -> tuple[int, int, int, int]:
        """[B, H, W, F] of the result."""
        height, width = (-(-each // self.stride) for each in (self.height, self.width))
        return self.groups * self.images, height, width, self.features

    @property
    def pixels(self) -> int:
        """Pixels of the result, in a group."""
        return math.prod(self.result[:-1]) // self.groups

    @property
    def values(self) -> int:
        """Values of a channel, in a group."""
        return self.pixels * max(self.steps, 1)

    @property
    def flops(self) -> int:
        """Of the convolution of all groups and time steps; products with the padding's zeros do not count."""
        _, *result, _ = self.result
        joined = 1  # pairs of a pixel of an image and one of its result
        for size, outputs in zip((self.height, self.width), result, strict=True):
            first = (o * self.stride - self.kernel // 2 for o in range(outputs))
            joined *= sum(0 <= place + k < size for place in first for k in range(self.kernel))
        return 2 * self.groups * self.images * max(self.steps, 1) * joined * self.channels * self.features

    @property
    def row_width(self) -> int:
        """Values that a row of the kernel covers, rounded up to a power of two, as Triton needs it."""
        return max(SMALLEST, pl.next_power_of_2(self.kernel * self.channels))

    @property
    def lanes(self) -> int:
        """Features, rounded up as well."""
        return max(SMALLEST, pl.next_power_of_2(self.features))

    @property
    def wide(self) -> Any:
        """The dtype of sums."""
        return jnp.promote_types(self.dtype, jnp.float32)

    def of_share(self, images: Array) -> "Sizes":
        """The sizes of a device's share of the images."""
        return dataclasses.replace(self, images=len(images) // self.groups)


@dataclasses.dataclass(frozen=True)
class Tile:
    """Pixels of the result, and what they are computed from.

    Attributes:
      pixels: [M], counted over the whole batch.
      there: [M], which of them are pixels of the program's group.
      first_row: [M], which row of its image the first row of the kernel covers.
      places: [M, k C], where the values lie that the first row of the kernel covers.
      inside: [M, k C], which of them are of a pixel that is there, and within the width of its image.
      sizes: of the whole.
    """

    pixels: Array
    there: Array
    first_row: Array
    places: Array
    inside: Array
    sizes: Sizes

    def of_result(self) -> tuple[Array, Array]:
        """Where the pixels' features lie in the result, and which of them are there: [M, F] each."""
        lane = _lane(self.sizes)
        at = self.pixels[:, None] * self.sizes.features + lane
        return at, self.there[:, None] & (lane < self.sizes.features)

    def covered(self, source: Any, r: Any) -> Array:
        """What the kernel's row `r` covers of every pixel's image: [M, k C] in the dtype of the source."""
        row = self.first_row + r
        there = self.inside & ((row >= 0) & (row < self.sizes.height))[:, None]
        return triton.load(source.at[self.places + r * _row_length(self.sizes)], mask=there, other=0)

    def currents(self, source: Any, kernel: Any) -> list[Array]:
        """The currents of every time step, each [M, F]."""
        zeros = jnp.zeros((len(self.pixels), self.sizes.lanes), self.sizes.wide)

        def add(r, totals):
            row, of_row = self.covered(source, r), weights(kernel, r, self.sizes)
            return tuple(
                total + jnp.dot(plane(row, t, self.sizes), of_row, preferred_element_type=total.dtype)
                for t, total in enumerate(totals)
            )

        steps = (zeros,) * max(self.sizes.steps, 1)
        totals = jax.lax.fori_loop(np.int32(0), np.int32(self.sizes.kernel), add, steps)
        return [total.astype(self.sizes.dtype) for total in totals]


def tile(index: Any, rows: int, sizes: Sizes, group: Any) -> Tile:
    """Of the pixels of a group, so many rows: those from `index` times as many on."""
    in_group = index * rows + jax.lax.iota(jnp.int32, rows)
    pixels, there = group * sizes.pixels + in_group, in_group < sizes.pixels
    _, height, width, _ = sizes.result
    image, rest = _divided(pixels, height * width)
    y, x = (each * sizes.stride - sizes.kernel // 2 for each in _divided(rest, width))
    place = jax.lax.broadcasted_iota(jnp.int32, (1, sizes.row_width), 1)
    along = (x * sizes.channels)[:, None] + place
    inside = (along >= 0) & (along < _row_length(sizes)) & (place < sizes.kernel * sizes.channels) & there[:, None]
    places = ((image * sizes.height + y) * _row_length(sizes))[:, None] + along
    return Tile(pixels, there, y, places, inside, sizes)


def of_channels(values: Any, sizes: Sizes) -> Array:
    """What is the same for a channel of the program's group: [G, F] -> [1, F], with zeros where there is no feature."""
    lane = _lane(sizes)
    return triton.load(values.at[pl.program_id(1) * sizes.features + lane], mask=lane < sizes.features, other=0)


def weights(kernel: Any, r: Any, sizes: Sizes) -> Array:
    """Row `r` of the kernel: [k C, F], with zeros likewise."""
    of_row = sizes.kernel * sizes.channels
    place, lane = (jax.lax.broadcasted_iota(jnp.int32, (sizes.row_width, sizes.lanes), axis) for axis in (0, 1))
    there = (place < of_row) & (lane < sizes.features)
    return triton.load(kernel.at[(r * of_row + place) * sizes.features + lane], mask=there, other=0).astype(sizes.dtype)


def plane(row: Array, t: int, sizes: Sizes) -> Array:
    """Of the values that a row of the kernel covers, those of time step `t`."""
    return ((row.astype(jnp.int32) >> (7 - t)) & 1).astype(sizes.dtype) if sizes.steps else row


def _row_length(sizes):
    """Values in a row of an image."""
    return sizes.width * sizes.channels


def _lane(sizes):
    return jax.lax.broadcasted_iota(jnp.int32, (1, sizes.lanes), 1)


def _divided(index, size):
    """Quotient and remainder of what is not negative, which spares the kernel to look at signs."""
    size = np.int32(size)
    return jax.lax.div(index, size), jax.lax.rem(index, size)

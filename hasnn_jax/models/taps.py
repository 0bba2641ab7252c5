"""The pixels that each weight of a convolution meets, and what has to be put between them where there is a stride."""

from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
from jax import Array


def padded(x: Array, k: int) -> Array:
    """The image with k // 2 zeros on every side: [N, H, W, C] -> [N, H + k - 1, W + k - 1, C], k odd."""
    return jnp.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))


def taps(image: Array, k: int, stride: int, size: Sequence[int]) -> Iterator[tuple[tuple[int, int], Array]]:
    """Yields ((i, j), the pixels that the weight at row i and column j meets: [N, H', W', C]).

    Args:
      image: padded.
      k: rows and columns of the kernel.
      stride: of the convolution.
      size: H', W' of its output.
    """
    height, width = (stride * (n - 1) + 1 for n in size)
    for i in range(k):
        for j in range(k):
            yield (i, j), image[:, i : i + height : stride, j : j + width : stride]


def shifts(image: Array, axis: int, k: int, stride: int, size: int) -> list[Array]:
    """The pixels that each of k weights meets along one axis, of which there then are `size`; see `taps`."""
    end = stride * (size - 1) + 1
    return [jax.lax.slice_in_dim(image, i, i + end, stride, axis) for i in range(k)]


def spread(y: Array, size: Sequence[int], stride: int) -> Array:
    """The pixels of [N, H', W', C] `stride` apart, with zeros between, in a map of the size H, W: [N, H, W, C]."""
    if stride == 1:
        return y
    ends = [n - stride * (m - 1) - 1 for n, m in zip(size, y.shape[1:3], strict=True)]
    between = [(0, end, stride - 1) for end in ends]
    return jax.lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), *between, (0, 0, 0)])

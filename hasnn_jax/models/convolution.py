"""Convolution of images, with other computations of the same sums where XLA's own is slow.

XLA computes any convolution with `jax.lax.conv_general_dilated`. Three cases are slow, by measurement on two CPU cores:

- Maps of 2 x 2 pixels and fewer, up to 30 times. Nearly every pair of an input and an output pixel is joined by a
  weight there, so these are products with one matrix that holds all of the pairs, on every platform.
- On a CPU, gradients: with respect to the kernel where maps are large, up to three times, and with respect to the
  input where there is a stride, up to ten times. They are written as products of matrices or as other convolutions.
- On a CPU, depthwise convolutions; see `hasnn_jax.models.depthwise`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hasnn_jax.models.cache_parts import parts_of
from hasnn_jax.models.compile_target import on_cpu
from hasnn_jax.models.depthwise import depthwise
from hasnn_jax.models.taps import padded, shifts, spread

FEW_CHANNELS = 8  # with fewer, those of a pixel are too few to be worth copying together; so for images
LARGE_MAP = 12  # pixels; from this height on, a kernel's gradient is summed up over a loop on a CPU
GATHERED = 2**19  # values that a pass through that loop gathers, in one image or more: few enough for the cache to hold


def convolve(x: Array, kernel: Array, stride: int, groups: int = 1) -> Array:
    """Convolves with PyTorch's symmetric padding, k // 2 on every side.

    Args:
      x: floating [N, H, W, C].
      kernel: [k, k, C / groups, F] in the dtype of `x`, k odd.
      stride: 1 or 2, in both directions.
      groups: C and F are divided into so many groups, each convolved by itself. With `groups` = C = F the convolution
        is depthwise.

    Returns:
      [N, H / stride, W / stride, F], rounded up, in the dtype of `x`.
    """
    if groups > 1:
        is_depthwise = groups == x.shape[-1] == kernel.shape[-1]
        return depthwise(x, kernel, stride) if on_cpu() and is_depthwise else _xla(x, kernel, stride, groups)
    if max(x.shape[1:3]) <= 2:
        return _tiny_map(x, kernel, stride)
    if not on_cpu():
        return _xla(x, kernel, stride)
    if max(x.shape[1:3]) <= 4 and stride > 1:
        return _strided_small_map(x, kernel, stride)
    return _on_cpu(x, kernel, stride)


def _xla(x, kernel, stride, groups=1):
    pad = (kernel.shape[0] // 2,) * 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        (pad, pad),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def _tiny_map(x, kernel, stride):
    """As a product of [N, H W C] with a matrix [H W C, H' W' F]."""
    n, height, width, _ = x.shape
    rows, columns = _pairs(height, stride, kernel.shape[0]), _pairs(width, stride, kernel.shape[0])
    matrix = _with_zeros(kernel)[rows[:, None, :, None], columns[None, :, None, :]]  # [H, W, H', W', C, F]
    matrix = matrix.transpose(0, 1, 4, 2, 3, 5).reshape(x[0].size, -1)
    return (x.reshape(n, -1) @ matrix).reshape(n, rows.shape[1], columns.shape[1], -1)


def _pairs(size, stride, k):
    """For each input and output position, the index of the weight between them; k where there is none."""
    index = np.arange(size)[:, None] - np.arange(0, size, stride)[None] + k // 2
    return np.where((index >= 0) & (index < k), index, k)


def _with_zeros(kernel):
    """The kernel with a row and a column of zeros at the end, for the index k."""
    return jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))


def _strided_small_map(x, kernel, stride):
    """As a product of the patches [N H' W', k k C] with the kernel."""
    patches = _patches(x, kernel.shape[0], stride)
    return patches @ kernel.reshape(-1, kernel.shape[-1])


def _patches(x, k, stride):
    """The inputs of each output pixel: [N, H, W, C] -> [N, H', W', k k C].

    Gathered along the columns and then along the rows, by 2 k slices instead of k k: XLA compiles each of them.
    """
    height, width = (-(-n // stride) for n in x.shape[1:3])
    columns = jnp.stack(shifts(padded(x, k), 2, k, stride, width), axis=3)  # [N, H + k - 1, W', k, C]
    patches = jnp.stack(shifts(columns, 1, k, stride, height), axis=3)  # [N, H', W', k, k, C]
    return patches.reshape(*patches.shape[:3], -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _on_cpu(x: Array, kernel: Array, stride: int) -> Array:
    return _xla(x, kernel, stride)


def _on_cpu_forward(x, kernel, stride):
    return _xla(x, kernel, stride), (x, kernel)


def _on_cpu_backward(stride, kept, cotangent):
    x, kernel = kept
    return _input_gradient(x, kernel, stride, cotangent), _kernel_gradient(x, kernel, stride, cotangent)


_on_cpu.defvjp(_on_cpu_forward, _on_cpu_backward)


def _input_gradient(x, kernel, stride, cotangent):
    """The gradient with respect to `x`."""
    k = kernel.shape[0]
    if stride == 2 and k == 3 and x.shape[1] % 2 == x.shape[2] % 2 == 0:
        return _input_gradient_by_phases(x, kernel, cotangent)
    if k == 1:
        return spread(cotangent @ kernel[0, 0].T, x.shape[1:3], stride)
    return jax.linear_transpose(lambda x: _xla(x, kernel, stride), x)(cotangent)[0]


def _input_gradient_by_phases(x, kernel, cotangent):
    """Of a 3x3 convolution with stride 2: even and odd rows and columns are features of one convolution at half size.

    Of the three rows of weights, an even input row 2a meets the middle one, at output row a; an odd row 2a + 1 meets
    the last one at output row a and the first one at a + 1.
    """
    index = np.array([[1, 2], [3, 0]])  # [offset of the output row, parity of the input row]; 3 is a row of zeros
    phases = _with_zeros(kernel)[index[:, None, :, None], index[None, :, None, :]]  # [2, 2, 2, 2, C, F]
    phases = phases.transpose(0, 1, 5, 2, 3, 4).reshape(2, 2, kernel.shape[3], -1)
    interleaved = jax.lax.conv_general_dilated(
        cotangent, phases, (1, 1), ((0, 1), (0, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    n, height, width, channels = x.shape
    parts = interleaved.reshape(n, height // 2, width // 2, 2, 2, channels)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(x.shape)


def _kernel_gradient(x, kernel, stride, cotangent):
    """The gradient with respect to the kernel."""
    k, _, channels, features = kernel.shape
    if k == 1:
        visited = x[:, ::stride, ::stride]
        return _product(visited.reshape(-1, channels), cotangent.reshape(-1, features)).reshape(kernel.shape)
    if x.shape[1] < LARGE_MAP:
        return jax.linear_transpose(lambda kernel: _xla(x, kernel, stride), kernel)(cotangent)[0]
    if k == 3 and stride == 1 and channels >= FEW_CHANNELS:
        return _summed(_shifted_rows_and_columns, x, cotangent, (3 * channels, 3 * features)).reshape(
            3, channels, 3, features
        ).transpose(2, 0, 1, 3)  # fmt: skip
    patches = _patches_and_outputs if channels >= FEW_CHANNELS else _rows_of_pixels_and_outputs
    gather = functools.partial(patches, k, stride)
    return _summed(gather, x, cotangent, (k * k * channels, features)).reshape(kernel.shape)


def _summed(gather, x, cotangent, shape):
    """The sum over images of the products of the two matrices that `gather` makes of one or a few of them.

    These put together what they gather by `jnp.stack`. XLA fuses that, and compiles it once for all layers of a size;
    `jnp.concatenate` it compiles for each, and that takes up to a third longer to run.
    """
    of_image = sum(matrix.size for matrix in jax.eval_shape(gather, x[:1], cotangent[:1]))
    parts = parts_of(x.shape[0], of_image, GATHERED)

    def add(total, images):
        return total + _product(*gather(*images)), None

    divided = tuple(each.reshape(parts, -1, *each.shape[1:]) for each in (x, cotangent))
    return jax.lax.scan(add, jnp.zeros(shape, x.dtype), divided)[0]


def _patches_and_outputs(k, stride, x, cotangent):
    patches = _patches(x, k, stride)
    return patches.reshape(-1, patches.shape[-1]), cotangent.reshape(-1, cotangent.shape[-1])


def _rows_of_pixels_and_outputs(k, stride, x, cotangent):
    """The same two matrices for few channels: not the few values of a pixel are copied together, but those of a row."""
    height, width = cotangent.shape[1:3]
    planes = jnp.moveaxis(padded(x, k), -1, 0)  # [C, n, H + k - 1, W + k - 1]
    rows = jnp.stack(shifts(planes, 2, k, stride, height))  # [k, C, n, H', W + k - 1]
    pixels = jnp.stack(shifts(rows, 4, k, stride, width), axis=1)  # [k, k, C, n, H', W']
    return pixels.reshape(k * k * x.shape[-1], -1).T, cotangent.reshape(-1, cotangent.shape[-1])


def _shifted_rows_and_columns(x, cotangent):
    """The image at three shifts in width, and the cotangent at three shifts in height: together the nine of the kernel.

    Gathering the nine shifts of the image would write half as much again.
    """
    image = padded(x, 3)  # [n, H + 2, W + 2, C]
    columns = jnp.stack(shifts(image, 2, 3, 1, x.shape[2]), axis=3)  # [n, H + 2, W, 3, C]
    lower = [jnp.pad(cotangent, ((0, 0), (i, 2 - i), (0, 0), (0, 0))) for i in range(3)]
    rows = jnp.stack(lower, axis=3)  # [n, H + 2, W, 3, F]
    return columns.reshape(-1, 3 * columns.shape[-1]), rows.reshape(-1, 3 * rows.shape[-1])


def _product(a, b):
    """[M, P], [M, Q] -> [P, Q]."""
    return jax.lax.dot_general(a, b, (((0,), (0,)), ((), ())))

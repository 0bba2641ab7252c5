"""Effective operations of a layer: those with an input and a weight other than zero, as NeuroBench counts them.

NeuroBench (Yik et al., Nature Communications 2025, arXiv 2304.04640; package `neurobench` 2.3, "SynapticOperations")
looks at each call of a layer. If every input of the call is -1, 0 or 1, its operations are accumulates (ACs), else
multiply-accumulates (MACs). Inputs of zero, weights of zero, the zeros of the padding, and biases do not count.

Here a call is one image at one time step: NeuroBench with batches of one image, called step by step. So the counts of
many images do not depend on how they are batched, and one time step with fractional inputs, such as the release's
plane 0, does not turn the other seven into MACs.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from hasnn_jax.models.layers import Conv, Dense


def count_inputs(layer: Conv | Dense, x: Array) -> Array:
    """For every weight tap: how often it meets an input that is not zero.

    Args:
      layer: the layer that is called with `x`; its kernel size, stride and dtype are used.
      x: [T, B, H, W, C] for a convolution, [T, B, C] for a linear layer. An image has at most 2^24 positions,
        a batch fewer than 2^31.

    Returns:
      int32 [T, 2, K, K, C], or [T, 2, C]: sums over images and positions. Index 0 of the second axis has the calls
      with inputs in {-1, 0, 1}, index 1 the others.
    """
    x = x.astype(layer.dtype)  # as the layer itself sees it
    spiking = jnp.all((x == 0) | (jnp.abs(x) == 1), axis=tuple(range(2, x.ndim)))  # [T, B]
    counts = _conv_taps(layer, x != 0) if isinstance(layer, Conv) else (x != 0).astype(jnp.int32)
    of_acs = jnp.where(spiking.reshape((*spiking.shape, *(1,) * (counts.ndim - 2))), counts, 0)
    acs, both = (jnp.sum(each, axis=1, dtype=jnp.int32) for each in (of_acs, counts))
    return jnp.stack([acs, both - acs], axis=1)


def effective_operations(counts: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(ACs, MACs) of each time step, exactly: counts of `count_inputs` and the layer's kernel -> int64 [T, 2]."""
    weights = np.count_nonzero(kernel, axis=-1).astype(np.int64)  # outputs that a tap leads to
    return np.tensordot(counts.astype(np.int64), weights, axes=weights.ndim)


def tap_positions(layer: Conv, size: int) -> np.ndarray:
    """Which of `size` values along one axis a tap of the kernel meets, for some output: bool [K, size]."""
    taps, pad = np.arange(layer.kernel), layer.kernel // 2
    outputs = np.arange((size + 2 * pad - layer.kernel) // layer.stride + 1)
    met = (layer.stride * outputs - pad)[None, :] + taps[:, None]
    return np.any(met[:, :, None] == np.arange(size), axis=1)


def _conv_taps(layer: Conv, nonzero: Array) -> Array:
    """Sums the taps of each image: bool [T, B, H, W, C] -> int32 [T, B, K, K, C]."""
    rows, columns = (jnp.asarray(tap_positions(layer, size), jnp.float32) for size in nonzero.shape[2:4])
    # At this precision float32 counts exactly, up to 2^24 positions.
    along_rows = jnp.einsum("tbhwc,kh->tbkwc", nonzero.astype(jnp.float32), rows, precision="highest")
    return jnp.einsum("tbkwc,lw->tbklc", along_rows, columns, precision="highest").astype(jnp.int32)

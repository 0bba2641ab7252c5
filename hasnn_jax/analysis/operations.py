"""Effective operations of a layer: those with an input and a weight other than zero, as NeuroBench counts them.

NeuroBench (Yik et al., Nature Communications 2025, arXiv 2304.04640; package `neurobench` 2.3, "SynapticOperations")
looks at each call of a layer. If every input of the call is -1, 0 or 1, its operations are accumulates (ACs), else
multiply-accumulates (MACs). Inputs of zero, weights of zero, the zeros of the padding, and biases do not count.

Here a call is one image at one time step: NeuroBench with batches of one image, called step by step. So the counts of
many images do not depend on how they are batched, and one time step with fractional inputs, such as the release's
plane 0, does not turn the other seven into MACs.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hasnn_jax.models.layers import Conv, Dense


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=("in_spiking_calls", "in_all_calls"), meta_fields=("stride",)
)
@dataclasses.dataclass(frozen=True)
class InputCounts:
    """How many images of a batch have an input other than zero, at every position and time step.

    Attributes:
      in_spiking_calls: in calls with inputs in {-1, 0, 1}: int32 [T, H, W, C], or [T, C] of a linear layer.
      in_all_calls: in all calls, of the same shape.
      stride: of a convolution; None for a linear layer.
    """

    in_spiking_calls: Any
    in_all_calls: Any
    stride: int | None


def count_inputs(layer: Conv | Dense, x: Array) -> InputCounts:
    """Counts the inputs that are not zero. The rest is done on the host, because every operation takes time to compile.

    Args:
      layer: the layer that is called with `x`; its stride and dtype are used.
      x: [T, B, H, W, C] for a convolution, [T, B, C] for a linear layer.
    """
    x = x.astype(layer.dtype)  # as the layer itself sees it
    nonzero = x != 0
    spiking = jnp.all((x == 0) | (jnp.abs(x) == 1), axis=tuple(range(2, x.ndim)), keepdims=True)  # [T, B, 1, ...]
    return InputCounts(
        over_images(nonzero & spiking), over_images(nonzero), layer.stride if isinstance(layer, Conv) else None
    )


def over_images(true: Array) -> Array:
    """In how many images something is true: bool [T, B, ...] -> int32 [T, ...]."""
    return jnp.sum(true, axis=1, dtype=jnp.int32)


def effective_operations(counts: InputCounts, kernel: np.ndarray) -> np.ndarray:
    """(ACs, MACs) of each time step, exactly, from counts on the host and the layer's kernel: int64 [T, 2]."""
    weights = _outputs_of_inputs(kernel, counts.in_all_calls.shape[-1])
    acs, both = (
        np.tensordot(_meetings(inputs, counts.stride, len(kernel)), weights, axes=weights.ndim)
        for inputs in (counts.in_spiking_calls, counts.in_all_calls)
    )
    return np.stack([acs, both - acs], axis=-1)


def _outputs_of_inputs(kernel: np.ndarray, channels: int) -> np.ndarray:
    """How many outputs a channel leads to by weights other than zero: int64 [K, K, C] of a convolution, or [C].

    A kernel [K, K, C / groups, F] of groups holds the F / groups outputs of each group one after the other.
    """
    *taps, inputs, features = kernel.shape
    groups = channels // inputs
    grouped = kernel.reshape(*taps, inputs, groups, features // groups)
    outputs = np.count_nonzero(grouped, axis=-1).astype(np.int64)  # [K, K, C / groups, groups]
    return np.moveaxis(outputs, -1, -2).reshape(*taps, channels)


def tap_positions(kernel: int, stride: int, size: int) -> np.ndarray:
    """Which of `size` values along one axis a tap of a convolution's kernel meets, for some output: bool [K, size]."""
    taps, pad = np.arange(kernel), kernel // 2
    outputs = np.arange((size + 2 * pad - kernel) // stride + 1)
    met = (stride * outputs - pad)[None, :] + taps[:, None]
    return np.any(met[:, :, None] == np.arange(size), axis=1)


def _meetings(inputs: np.ndarray, stride: int | None, kernel: int) -> np.ndarray:
    """How often a tap meets an input that is not zero: [T, H, W, C] -> int64 [T, K, K, C]; [T, C] stays as it is."""
    if stride is None:
        return inputs.astype(np.int64)
    rows, columns = (tap_positions(kernel, stride, size) for size in inputs.shape[1:3])
    along_rows = np.stack([inputs[:, row].sum(axis=1, dtype=np.int64) for row in rows], axis=1)  # [T, K, W, C]
    return np.stack([along_rows[:, :, column].sum(axis=2) for column in columns], axis=2)

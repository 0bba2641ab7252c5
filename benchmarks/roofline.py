"""The least time that a step could take on a device: its arithmetic, and its memory traffic, at measured rates.

Counted as arithmetic: convolutions and linear layers, a multiply and an add as two FLOPs, without those on padding.
Normalisations, neurons and bit planes are not counted. Counted as traffic: the bytes that the operations of the
compiled program read and write, as XLA counts them ("bytes accessed"): a value once for each operation that reads it,
and the body of a loop once. A cache serves part of them faster than memory, so small arrays can exceed the roofline.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from hasnn_jax.analysis.layer_costs import LayerCost, model_cost
from hasnn_jax.models import Model

MATRIX = {"cpu": 2_048, "gpu": 8_192}  # rows and columns
COPIED = 2**29  # bytes that are read, and written again
TIMES = 10


def step_flops(model: Model, image_shape: Iterable[int], batch: int) -> dict[str, int]:
    """FLOPs of one training step ("step") and of one evaluation ("evaluation") of a batch; see above.

    A step has each layer's products three times: outputs, gradient of the weights, and gradient of the inputs, which
    is not needed in the first block, whose inputs are the images.
    """
    layers = model_cost(model, image_shape).layers
    first = layers[0].name.split("/")[0]
    forward = 2 * _macs(layers)
    backward = 2 * forward - 2 * _macs(layer for layer in layers if layer.name.split("/")[0] == first)
    return {"step": batch * (forward + backward), "evaluation": batch * forward}


def _macs(layers: Iterable[LayerCost]) -> int:
    return sum(layer.macs_on_values for layer in layers)


def device_rates(dtypes: Iterable[str]) -> dict[str, float]:
    """Measured rates of the first device: FLOP/s of a matrix product by dtype, and bytes/s of "copy" (read + written).

    Each is the best of ten. A float32 product has JAX's default precision, which on a GPU is TF32.
    """
    n = MATRIX.get(jax.default_backend(), MATRIX["gpu"])
    rates = {}
    for dtype in dtypes:
        matrix = jnp.ones((n, n), dtype)
        rates[dtype] = 2 * n**3 / _best_seconds(jax.jit(jnp.matmul), matrix, matrix)
    copied = jnp.ones(COPIED // 4, jnp.float32)
    rates["copy"] = 2 * COPIED / _best_seconds(jax.jit(lambda x: x + 1), copied)  # XLA would leave out a mere copy
    return rates


def _best_seconds(function: Callable[..., Any], *arguments: Any) -> float:
    jax.block_until_ready(function(*arguments))  # compiles
    best = float("inf")
    for _ in range(TIMES):
        began = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        best = min(best, time.perf_counter() - began)
    return best


def roofline(
    seconds: float, flops: float, accessed: float | None, product_rate: float, copy_rate: float
) -> dict[str, float | None]:
    """How near a measured time is to the least possible one, max(FLOPs / product rate, bytes / copy rate).

    Args:
      seconds: measured.
      flops, accessed: FLOPs and bytes; None where the bytes are not known.
      product_rate, copy_rate: in FLOP/s and bytes/s.

    Returns:
      "products" and "copies": the two times in seconds; "of_products": the first one's share of the measured time;
      "of_roofline": the share of the greater of the two. What needs unknown bytes is None.
    """
    products = flops / product_rate
    copies = None if accessed is None else accessed / copy_rate
    return {
        "products": products,
        "copies": copies,
        "of_products": products / seconds,
        "of_roofline": None if copies is None else max(products, copies) / seconds,
    }

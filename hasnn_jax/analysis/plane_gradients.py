"""How large the gradient is that each bit plane sends back, before and after its rescaling by F_k.

In the backward pass an encoder adds up g_k F_k s_k over its planes k: g_k is the loss's gradient at the spikes of the
plane, s_k the derivative of the smooth surrogate, F_k the factor of the rescaling (arXiv 2509.24411: k / 2^(7-k)).
"""

import dataclasses
import functools
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hasnn_jax import core
from hasnn_jax.analysis.layer_calls import visiting
from hasnn_jax.analysis.layer_costs import encoder_shapes
from hasnn_jax.common.errors import InputError
from hasnn_jax.models import Model
from hasnn_jax.models.layers import Encoder

HIGHEST_PLANE = 7


@dataclasses.dataclass(frozen=True)
class PlaneGradients:
    """Gradient sizes of one encoder, plane by plane.

    Attributes:
      name: path of the encoder, such as "stage1_block1/encoder".
      planes: the planes k, the most significant first.
      before: for each plane the L2 norm of g_k s_k, per grey level of 0..255, over all values of all images.
      after: the norm of g_k F_k s_k.
    """

    name: str
    planes: tuple[int, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


def plane_gradients(
    model: Model,
    variables: Mapping[str, Any],
    batches: Iterable[tuple[Array | np.ndarray, Array | np.ndarray]],
    *,
    train: bool = False,
) -> tuple[PlaneGradients, ...]:
    """Measures the gradients of the cross-entropy, summed over the images, at every encoder.

    The backward pass is the model's own: each g_k has gone through the rescaled gradients of the later encoders.

    Args:
      model: from `create_model`.
      variables: its "params" and "batch_stats"; nothing is updated.
      batches: (images [B, H, W, C] in [0, 1], labels int [B] in 0..num_classes - 1).
      train: whether normalisations and value ranges use the statistics of each batch, as in training. Without it,
        the result does not depend on the batch size, unless the value range is "batch".

    Returns:
      One entry for each encoder, in the order in which they are called; none if the model has no spiking path. With
      `vector_gradient` "pooled", the g_k of an input [B, C] is the sum over all planes, as the backward pass uses it.

    Raises:
      InputError: there is no image, or a label is out of range.
    """
    squares: dict[str, np.ndarray] = {}
    seen = 0
    for images, labels in batches:
        labels = np.asarray(labels)
        if labels.shape != (len(images),) or (
            labels.size and not 0 <= labels.min() <= labels.max() < model.num_classes
        ):
            raise InputError(
                f"labels: expected {len(images)} whole numbers from 0 to {model.num_classes - 1}, one for each image; "
                f"got shape {labels.shape}" + (f", {labels.min()} to {labels.max()}" if labels.size else "")
            )
        if not len(images):
            continue
        seen += len(images)
        norms = jax.device_get(_norms(model, variables, images, labels, train))
        for name, norm in norms.items():
            squares[name] = squares.get(name, 0) + norm.astype(np.float64) ** 2
    if not seen:
        raise InputError("no images to measure: expected at least one")
    coding = model.layers.spiking.coding
    planes = tuple(range(HIGHEST_PLANE, HIGHEST_PLANE - coding.planes, -1))
    factors = [abs(coding.rescaling(plane)) for plane in planes]
    measured = []
    for name, square in squares.items():
        before = np.sqrt(square).tolist()
        after = (factor * norm for factor, norm in zip(factors, before, strict=True))
        measured.append(PlaneGradients(name, planes, tuple(before), tuple(after)))
    return tuple(measured)


@functools.partial(jax.jit, static_argnums=(0, 4))
def _norms(model, variables, images, labels, train):
    """Encoder's name -> norms of g_k s_k [planes], the most significant plane first."""

    def loss(added):
        inputs = OrderedDict()  # a plain dict would come back sorted by name

        def visit(name, layer, x, y):
            if not isinstance(layer, Encoder):
                return y
            inputs[name] = x
            return y + added[name].astype(y.dtype)

        with visiting(visit):
            logits = model.apply(variables, images, train=train)
        return -jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)), inputs

    shapes = encoder_shapes(model, images.shape[1:])
    nothing = {
        name: jnp.zeros((steps, len(images), *shape), images.dtype) for name, (steps, _, *shape) in shapes.items()
    }
    cotangents, inputs = jax.grad(loss, has_aux=True)(nothing)
    norms = OrderedDict()
    for name, x in inputs.items():
        statistics = functools.reduce(lambda tree, key: tree.get(key, {}), name.split("/"), variables["batch_stats"])
        value = _grey_values(model, statistics, x, train)
        norms[name] = _plane_norms(cotangents[name], value, model.layers.spiking.coding)
    return norms


def _grey_values(model: Model, statistics: Mapping[str, Any], x: Array, train: bool) -> Array:
    """The values in 0..255 whose planes an encoder takes: those of its input, by its own value range.

    Eight planes, of which the lowest keeps its fraction, add up to the value itself.
    """
    coding = dataclasses.replace(model.layers.spiking.coding, planes=HIGHEST_PLANE + 1, lowest_plane="fractional")
    planes: Any = Encoder(coding, model.layers.statistics_group).apply({"batch_stats": statistics}, x, train)
    value = jnp.zeros_like(planes[0])
    for plane in range(HIGHEST_PLANE, -1, -1):
        value += 2.0**plane * planes[coding.time_of(plane)]
    return value


def _plane_norms(cotangent: Array, value: Array, coding: core.BitPlaneCoding) -> Array:
    # All planes at once, and as one array: a reduction for each would take seconds to compile.
    planes = range(HIGHEST_PLANE, HIGHEST_PLANE - coding.planes, -1)
    if coding.vector_gradient == "pooled" and value.ndim == 2:
        received = jnp.sum(cotangent, axis=0, keepdims=True)
    else:
        received = jnp.stack([cotangent[coding.time_of(plane)] for plane in planes])
    slopes = coding.surrogate.derivative(value)[::-1][: len(planes)]  # [planes, ...], the most significant first
    product = jax.lax.optimization_barrier(received * slopes)
    over_all = tuple(range(1, product.ndim))
    largest = jnp.max(jnp.abs(product), axis=over_all, keepdims=True)
    largest = jnp.maximum(largest, jnp.finfo(product.dtype).tiny)
    return largest.ravel() * jnp.sqrt(jnp.sum((product / largest) ** 2, axis=over_all))  # squares alone could underflow

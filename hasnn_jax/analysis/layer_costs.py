"""What the layers of a model cost before any image is seen: parameters and dense multiply-accumulates (MACs)."""

import dataclasses
import functools
import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp

from hasnn_jax.analysis.layer_calls import has_time_axis, visiting
from hasnn_jax.analysis.operations import tap_positions
from hasnn_jax.models import Model
from hasnn_jax.models.layers import Conv, Encoder

PATHS = ("ann", "snn", "shared")


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One convolution or linear layer. All counts are for one image.

    Attributes:
      name: path of the module, such as "stage1_block1/snn/conv2".
      spiking: whether its input has a time axis.
      steps: how often it is called for one image: the time steps of the spiking path, else 1.
      parameters: weights and biases.
      inputs, outputs: values in one call's input and output.
      macs: dense MACs of all steps: weights times output positions. Weights that meet the zeros of the padding count,
        biases do not.
      macs_on_values: the same without the weights that meet the padding. This is NeuroBench's "Dense", and half the
        FLOPs that the XLA compiler counts.
    """

    name: str
    spiking: bool
    steps: int
    parameters: int
    inputs: int
    outputs: int
    macs: int
    macs_on_values: int

    @property
    def path(self) -> str:
        """The path it is in: "ann" or "snn", or "shared" for a layer outside the two."""
        return path_of(self.name)


@dataclasses.dataclass(frozen=True)
class ModelCost:
    """All layers of a model in the order in which they are called.

    Attributes:
      layers: convolutions and linear layers; their parameters do not include the normalisations'.
      parameters: of the whole model, normalisations included.
    """

    layers: tuple[LayerCost, ...]
    parameters: int

    def macs(self, path: str | None = None) -> int:
        """Dense MACs for one image: of a path ("ann", "snn", "shared"), or of all three."""
        return sum(layer.macs for layer in self.layers if path in (None, layer.path))


def path_of(name: str) -> str:
    """The path of a layer, given its name: "ann" or "snn", or "shared" for a layer outside the two."""
    return next((path for path in ("ann", "snn") if path in name.split("/")), "shared")


def model_cost(model: Model, image_shape: Iterable[int]) -> ModelCost:
    """Parameters and dense MACs of every layer. Nothing is computed on a device, so it takes about a second.

    Args:
      model: from `create_model`.
      image_shape: (height, width, channels) of the images.

    Raises:
      InputError: the images are too small for this model.
    """
    return _traced(model, tuple(image_shape))[0]


def encoder_shapes(model: Model, image_shape: Iterable[int]) -> dict[str, tuple[int, ...]]:
    """The shape of every encoder's planes for one image, [T, 1, ...], by its name; arguments as for `model_cost`."""
    return _traced(model, tuple(image_shape))[1]


@functools.lru_cache(maxsize=8)  # a trace takes half a second
def _traced(model, image_shape):
    layers: list[LayerCost] = []
    encoders: dict[str, tuple[int, ...]] = {}

    def visit(name, layer, x, y):
        if isinstance(layer, Encoder):
            encoders[name] = y.shape
        else:
            layers.append(_layer_cost(name, layer, x.shape, y.shape, has_time_axis(layer, x)))
        return y

    image = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    with visiting(visit):
        variables = jax.eval_shape(lambda images: model.init(jax.random.key(0), images), image)
    total = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))
    return ModelCost(tuple(layers), total), encoders


def describe_cost(cost: ModelCost) -> str:
    """One line for a person: parameters, and dense MACs for one image."""
    macs = ", ".join(f"{path} {cost.macs(path) / 1e6:,.4g} M" for path in PATHS if cost.macs(path))
    return f"{cost.parameters:,} parameters; dense multiply-accumulates for an image: {macs}"


def _layer_cost(name, layer, x, y, spiking) -> LayerCost:
    steps = x[0] if spiking else 1
    images = steps * x[spiking]
    inputs, outputs = math.prod(x) // images, math.prod(y) // images
    if not isinstance(layer, Conv):
        weights = macs = on_values = inputs * outputs
        parameters = weights + outputs
    else:
        channels = x[-1] // layer.groups  # that an output channel is joined to
        parameters = layer.kernel**2 * channels * y[-1]
        macs = parameters * y[-3] * y[-2]
        rows, columns = (int(tap_positions(layer.kernel, layer.stride, size).sum()) for size in x[-3:-1])
        on_values = rows * columns * channels * y[-1]
    return LayerCost(name, spiking, steps, parameters, inputs, outputs, steps * macs, steps * on_values)

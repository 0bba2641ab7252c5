"""Lets a function see every block, convolution, linear layer, encoder and spiking neuron of a model while it runs.

Nothing in the models changes: `flax.linen.intercept_methods` shows the layers' inputs and outputs, and a copy of the
model with another neuron shows the spikes.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from flax import linen as nn
from jax import Array

from hasnn_jax.models import Hybrid, Model, with_neuron
from hasnn_jax.models.layers import Conv, Dense, Encoder

BlockVisitor = Callable[[str, Array, Array], None]
"""(block's name, its ANN path's output, its own output), both of one shape."""
Visitor = Callable[[str, Any, Array, Array], Array]
"""(layer's name, layer, its input, its output) -> the output to go on with, usually the same."""


def visiting(visitor: Visitor) -> AbstractContextManager[Any]:
    """A context in which `visitor` is called after every call of a `Conv`, `Dense` or `Encoder`.

    Names are the paths of the modules, such as "stage1_block1/snn/conv2". Inputs are [B, H, W, C] or [B, C] in the
    ANN path, and have a time axis in front in the spiking path.
    """

    def intercept(call, arguments, keywords, context):
        output = call(*arguments, **keywords)
        if context.method_name == "__call__" and isinstance(context.module, Conv | Dense | Encoder):
            return visitor("/".join(context.module.path), context.module, arguments[0], output)
        return output

    return nn.intercept_methods(intercept)


def visiting_blocks(visitor: BlockVisitor) -> AbstractContextManager[Any]:
    """A context in which `visitor` is called after every call of a hybrid block that has both paths."""
    of_ann_paths: dict[tuple[str, ...], Array] = {}

    def intercept(call, arguments, keywords, context):
        output, module = call(*arguments, **keywords), context.module
        if context.method_name == "__call__":
            if isinstance(module, Hybrid) and len(module.layers.paths) > 1:
                visitor("/".join(module.path), of_ann_paths.pop(module.path), output)
            elif isinstance(module.parent, Hybrid) and module.name == "ann":
                of_ann_paths[module.parent.path] = output
        return output

    return nn.intercept_methods(intercept)


def watched_neurons(model: Model, watcher: Callable[[Array], None]) -> Model:
    """The same model with `watcher` called with the spikes [T, B, ...] of every spiking activation, in order."""
    neuron = model.layers.spiking.neuron

    def watched(currents: Array) -> Array:
        spikes = neuron(currents)
        watcher(spikes)
        return spikes

    return with_neuron(model, watched)


def has_time_axis(layer: Conv | Dense, x: Array) -> bool:
    """Whether an input of a layer has a time axis in front, as all inputs in the spiking path have."""
    return x.ndim == (5 if isinstance(layer, Conv) else 3)

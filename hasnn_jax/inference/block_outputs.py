"""What the blocks of a model compute, by name."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax.models import Hybrid, Model

PARTS = {"ann": "ann", "snn": "spikes", "encoder": "planes"}  # submodules of a hybrid block -> names here


def block_outputs(model: Model, variables: Mapping[str, Any], images: Array) -> dict[str, Array]:
    """Evaluates a model and returns what its blocks compute; see `LoadedModel.features` for the names.

    Args:
      model: the model.
      variables: its parameters and batch statistics.
      images: floating [B, H, W, C] in [0, 1].
    """
    found: dict[str, Array] = {}

    def record(call, arguments, keywords, context):
        output = call(*arguments, **keywords)
        if context.method_name == "__call__":
            path = context.module.path
            if isinstance(context.module, Hybrid):
                found["/".join(path)] = output
            elif isinstance(context.module.parent, Hybrid):
                found["/".join((*path[:-1], PARTS[path[-1]]))] = output
        return output

    with nn.intercept_methods(record):
        found["logits"] = jnp.asarray(model.apply(variables, images, train=False))
    decoder = model.layers.spiking.decoder
    decoded = {f"{name.removesuffix('spikes')}snn": decoder(found[name]) for name in found if name.endswith("/spikes")}
    return found | decoded  # blocks in the order of the network

"""What the blocks of a model compute, and the spiking layers inside them, by name."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from hasnn_jax.models import Hybrid, Model, with_neuron
from hasnn_jax.models.layers import channelwise

PARTS = {"ann": "ann", "snn": "spikes", "encoder": "planes"}  # submodules of a hybrid block -> names here


def block_outputs(
    model: Model, variables: Mapping[str, Any], images: Array, *, layers: bool = False
) -> dict[str, Array]:
    """Evaluates a model and returns what its blocks compute; see `LoadedModel.features` for the names.

    Args:
      model: the model.
      variables: its parameters and batch statistics.
      images: floating [B, H, W, C] in [0, 1].
      layers: whether to add the currents and spikes of every spiking layer.
    """
    found: dict[str, Array] = {}
    blocks: list[str] = []
    latest = ""  # the module that computes what a neuron receives next: a norm calls it, a linear layer comes before it
    spiking = model.layers.spiking

    def record(call, arguments, keywords, context):
        nonlocal latest
        path = context.module.path
        latest = "/".join(path)
        output = call(*arguments, **keywords)
        if context.method_name == "__call__":
            latest = "/".join(path)
            if isinstance(context.module, Hybrid):
                found[latest] = output
                blocks.append(latest)
            elif isinstance(context.module.parent, Hybrid):
                found["/".join((*path[:-1], PARTS[path[-1]]))] = output
        return output

    def watched(currents):
        # As arrays, so that the network goes on with the very numbers that are returned.
        currents = found[f"{latest}/currents"] = jax.lax.optimization_barrier(currents)
        spikes = found[f"{latest}/spikes"] = jax.lax.optimization_barrier(spiking.neuron(currents))
        return spikes

    if layers:
        model = with_neuron(model, watched)
    with nn.intercept_methods(record):
        found["logits"] = jnp.asarray(model.apply(variables, images, train=False))
    spiked = [block for block in blocks if f"{block}/spikes" in found]
    decoded = {block: spiking.decoder(found[f"{block}/spikes"]) for block in spiked}
    gains = {block: variables["params"][block]["gain"] for block in spiked if "gain" in variables["params"][block]}
    added = {block: x * channelwise(gains[block], x) if block in gains else x for block, x in decoded.items()}
    return found | {f"{block}/snn": x for block, x in added.items()}

"""The model families, HAS-8-ResNet, -VGG, -MobileNetV2 and -EfficientNet, and the specification of spiking paths."""

import dataclasses
from collections.abc import Callable
from typing import cast

from jax import Array

from hasnn_jax import core
from hasnn_jax.models.efficientnet import HybridEfficientNet
from hasnn_jax.models.hybrid import Hybrid, LayerFactory
from hasnn_jax.models.image_checks import checked
from hasnn_jax.models.mobilenet import HybridMobileNetV2
from hasnn_jax.models.registry import create_model, list_models
from hasnn_jax.models.resnet import HybridResNet
from hasnn_jax.models.specs import AS_DESCRIBED, AS_RECOMMENDED, AS_RELEASED, SpikingSpec, spiking_spec
from hasnn_jax.models.vgg import HybridVGG

Model = HybridResNet | HybridVGG | HybridMobileNetV2 | HybridEfficientNet


def with_neuron(model: Model, neuron: Callable[[Array], Array]) -> Model:
    """The same model with another neuron, or any function of its kind: currents [T, B, ...] -> spikes [T, B, ...]."""
    spiking = dataclasses.replace(model.layers.spiking, neuron=cast(core.Neuron, neuron))
    return model.clone(layers=dataclasses.replace(model.layers, spiking=spiking))


__all__ = [
    "AS_DESCRIBED", "AS_RECOMMENDED", "AS_RELEASED", "Hybrid", "HybridEfficientNet", "HybridMobileNetV2",
    "HybridResNet", "HybridVGG", "LayerFactory", "Model", "SpikingSpec", "checked", "create_model", "list_models",
    "spiking_spec", "with_neuron",
]  # fmt: skip

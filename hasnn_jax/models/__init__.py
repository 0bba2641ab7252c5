"""The two model families, HAS-8-ResNet and HAS-8-VGG, and the specification of their spiking paths."""

from hasnn_jax.models.hybrid import Hybrid, LayerFactory
from hasnn_jax.models.image_checks import checked
from hasnn_jax.models.registry import create_model, list_models
from hasnn_jax.models.resnet import HybridResNet
from hasnn_jax.models.specs import AS_DESCRIBED, AS_RELEASED, SpikingSpec, spiking_spec
from hasnn_jax.models.vgg import HybridVGG

Model = HybridResNet | HybridVGG

__all__ = [
    "AS_DESCRIBED", "AS_RELEASED", "Hybrid", "HybridResNet", "HybridVGG", "LayerFactory", "Model", "SpikingSpec",
    "checked", "create_model", "list_models", "spiking_spec",
]  # fmt: skip

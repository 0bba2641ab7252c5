"""HAS-8, hybrid layer-wise ANN-SNN image classifiers, in JAX and Flax (arXiv 2509.24411)."""

from hasnn_jax import core
from hasnn_jax.common.errors import InputError
from hasnn_jax.models import AS_DESCRIBED, AS_RELEASED, SpikingSpec, checked, create_model, list_models, spiking_spec

__version__ = "0.1.0"
__all__ = [
    "AS_DESCRIBED", "AS_RELEASED", "InputError", "SpikingSpec", "checked", "core", "create_model", "list_models",
    "spiking_spec",
]  # fmt: skip

"""HAS-8, hybrid layer-wise ANN-SNN image classifiers, in JAX and Flax (arXiv 2509.24411)."""

from typing import TYPE_CHECKING, Any

from hasnn_jax import core
from hasnn_jax.common.errors import InputError
from hasnn_jax.models import (
    AS_DESCRIBED,
    AS_RECOMMENDED,
    AS_RELEASED,
    SpikingSpec,
    checked,
    create_model,
    list_models,
    spiking_spec,
)

if TYPE_CHECKING:
    from hasnn_jax.inference.loading import load


def __getattr__(name: str) -> Any:
    if name == "load":  # with what it needs, which takes seconds to import
        from hasnn_jax.inference.loading import load

        return load
    raise AttributeError(f"module 'hasnn_jax' has no attribute {name!r}")


__version__ = "0.1.0"
__all__ = [
    "AS_DESCRIBED", "AS_RECOMMENDED", "AS_RELEASED", "InputError", "SpikingSpec", "checked", "core", "create_model",
    "list_models", "load", "spiking_spec",
]  # fmt: skip

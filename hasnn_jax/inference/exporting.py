"""A trained model as one file that runs without this package: StableHLO by `jax.export`."""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.files import replacing
from hasnn_jax.inference.loaded_model import LoadedModel

PLATFORMS = ("cpu", "cuda", "tpu")


def export_model(model: LoadedModel, path: pathlib.Path) -> int:
    """Writes a model's `predict` for any batch size and for CPU, CUDA and TPU; returns the file's size in bytes.

    `jax.export.deserialize(path.read_bytes()).call(images)` runs it: uint8 [B, H, W, C] -> probabilities, float32
    [B, num_classes]. The weights are part of the file.

    Raises:
      InputError: something exists at that path, or it cannot be written.
    """
    if path.exists():
        raise InputError(f"{path}: exists already; remove it, or choose another name")

    def predict(images: Any) -> Any:
        return model.probabilities(model.variables, images)

    (batch,) = export.symbolic_shape("b", constraints=["b >= 1"])
    images = jax.ShapeDtypeStruct((batch, *model.image_shape), jnp.uint8)
    encoded = export.export(jax.jit(predict), platforms=PLATFORMS)(images).serialize()
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(encoded)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    return len(encoded)

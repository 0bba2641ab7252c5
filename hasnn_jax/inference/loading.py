"""From weights on disk to a `LoadedModel`."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hasnn_jax.assembly.model import model_of_weights, without_groups
from hasnn_jax.checkpoints.weights import load_weights
from hasnn_jax.common.errors import InputError
from hasnn_jax.data import Preprocessing
from hasnn_jax.inference.loaded_model import LoadedModel
from hasnn_jax.models import Model


def load(
    weights: str | os.PathLike[str], *, classes: Sequence[str] | None = None, image_size: int | None = None
) -> LoadedModel:
    """Loads a trained model: of a run, of one of its checkpoints, or of converted weights.

    Args:
      weights: a run's workdir (its newest checkpoint is loaded), a folder `checkpoints/STEP` in it, or a folder that
        `hasnn convert` made. From a run that averages its weights the averaged ones are taken.
      classes: class names, for weights that have none; by default those saved with the weights.
      image_size: height and width in pixels that images are resized to; by default that of the weights' evaluation.

    Raises:
      InputError: there are no such weights, they are damaged or of a newer version, the number of class names is wrong,
        or the image size is neither saved nor given.
    """
    path = pathlib.Path(weights).expanduser()
    variables, settings = load_weights(path)
    model = without_groups(model_of_weights(settings))
    size = image_size or settings.get("image_size")
    if size is None:
        raise InputError(f"{path}: does not say what size its images have; name it by image_size")
    # Another size than the run's is reached without a crop.
    shorter = settings.get("resize_shorter") if image_size in (None, settings.get("image_size")) else None
    preprocessing = Preprocessing(settings["num_classes"], size, shorter)
    names = settings.get("classes") if classes is None else classes
    if names is not None and len(names) != model.num_classes:
        raise InputError(f"{path}: expected {model.num_classes} class names, got {len(names)}")
    variables = jax.device_put(variables)
    shape = (size, size, model.bind(variables).input_channels())
    _require_fit(model, variables, shape, path)
    return LoadedModel(
        settings["name"], model, variables, None if names is None else tuple(names), preprocessing, shape
    )


def _require_fit(model: Model, variables: Mapping[str, Any], shape: tuple[int, int, int], path: pathlib.Path) -> None:
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    expected = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, train=False), images)
    found, wanted = (jax.tree.map(jnp.shape, tree) for tree in (dict(variables), dict(expected)))
    if found != wanted:
        raise InputError(f"{path}: holds other arrays than its model has; was it written by another version?")

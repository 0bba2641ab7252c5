"""The configured model, its initial variables, and the weights that it starts from."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from ml_collections import ConfigDict

from hasnn_jax.checkpoints.fit_weights import Variables, fit_weights
from hasnn_jax.checkpoints.weights import load_weights
from hasnn_jax.common.errors import InputError
from hasnn_jax.config import from_flat
from hasnn_jax.models import Model, create_model, spiking_spec


def build_model(settings: ConfigDict, num_classes: int) -> Model:
    """The model that the config's model section describes."""
    return create_model(
        settings.name,
        num_classes,
        spiking=spiking_spec(**settings.spiking),
        paths=settings.paths,
        stem=settings.stem,
        statistics_group=settings.statistics_group,
        dtype=jnp.dtype(settings.dtype),
        remat=settings.remat,
        kernels=settings.kernels,
    )


def model_of_weights(settings: Mapping[str, Any]) -> Model:
    """The model that weights belong to, from the settings that `load_weights` returns with them.

    Weights that say nothing of their spiking paths are converted ones, whose spec is the release's.
    """
    of_model = {"spiking.spec": "as_released", **settings}
    config = from_flat({f"model.{key}": value for key, value in of_model.items()})
    return build_model(config.model, settings["num_classes"])


def without_groups(model: Model) -> Model:
    """The model with all images in one statistics group, to be evaluated with any number of them."""
    return model.clone(layers=dataclasses.replace(model.layers, statistics_group=None))


def initial_variables(model: Model, image_shape: tuple[int, ...], seed: int | np.uint32 | Array) -> dict[str, Any]:
    """Freshly initialised variables.

    Args:
      model: a Flax module.
      image_shape: (height, width, channels).
      seed: of the random numbers, 0 to 2^32 - 1.
    """
    batch = model.layers.statistics_group or 1  # with a batch-wide value range, initialisation needs a whole group
    return dict(model.init(jax.random.key(seed), jnp.zeros((batch, *image_shape)), train=False))


def all_of_weights(settings: ConfigDict) -> ConfigDict:
    """A copy of the config's model section by which `read_weights` takes everything from the weights."""
    copy = settings.copy_and_resolve_references()
    copy.init_head = copy.init_spiking = "keep"
    return copy


def read_weights(settings: ConfigDict, model: Model, expected: Variables) -> tuple[dict[str, Any], int]:
    """Reads the weights of `config.model.init_from` and fits them to the model.

    Args:
      settings: the config's model section.
      model: the model.
      expected: its freshly initialised variables, or their shapes and dtypes.

    Returns:
      (variables, how many tracked value ranges the weights do not have; see `fit_weights`).

    Raises:
      InputError: the weights cannot be read, or belong to another model.
    """
    path = pathlib.Path(settings.init_from).expanduser()
    weights, about = load_weights(path)
    fresh = {"fresh_head": settings.init_head == "fresh", "fresh_spiking": settings.init_spiking == "fresh"}
    try:
        return fit_weights(model, expected, weights, **fresh)
    except InputError as error:
        advice = []
        if about.get("num_classes") != model.num_classes and not fresh["fresh_head"]:
            advice.append("; for other classes set config.model.init_head=fresh")
        of_ann_alone = list(about.get("paths", ())) == ["ann"]
        if of_ann_alone and "snn" in model.layers.paths and not fresh["fresh_spiking"]:
            advice.append("; to start from an ANN path alone set config.model.init_spiking=fresh")
        raise InputError(
            f"config.model.init_from: {path} holds weights of {about.get('name')} for {about.get('num_classes')} "
            f"classes, the config names {settings.name} for {model.num_classes}; {error}{''.join(advice)}"
        ) from None

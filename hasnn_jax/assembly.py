"""What a config names, as objects: the data, the model, and the weights to start from."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from hasnn_jax import data
from hasnn_jax.config import validate
from hasnn_jax.data import Preparation, Reading, Source
from hasnn_jax.errors import InputError
from hasnn_jax.interop.weights import fit_weights, load_weights
from hasnn_jax.lookup import look_up
from hasnn_jax.models import HybridResNet, HybridVGG, create_model, spiking_spec
from hasnn_jax.training import sharding


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The parts that training and evaluation have in common.

    Attributes:
      mesh: the devices.
      source: training and test examples.
      preparation: example -> image of the model's size.
      reading: how this process reads its share of the batches.
      model: a Flax module.
      initialise: () -> freshly initialised variables, a function of the seed.
    """

    mesh: Mesh
    source: Source
    preparation: Preparation
    reading: Reading
    model: HybridResNet | HybridVGG
    initialise: Callable[[], dict[str, Any]]


def set_up(config: ConfigDict) -> Experiment:
    """Opens and builds what the config names; reads, and writes nothing.

    Raises:
      InputError: anything in the config that is not so, or a model that does not fit the images.
    """
    validate(config)
    mesh = sharding.make_mesh()
    sharding.require_divisible(config.batch_size, mesh)
    source = open_source(config.data)
    preparation = Preparation(
        config.data.num_classes,
        config.data.image_size,
        resize_shorter=config.data.resize_shorter,
        crop_scale=config.data.crop_scale,
        flip=config.data.flip,
        shift=config.data.shift,
    )
    model = build_model(config.model, config.data.num_classes)
    reading = Reading(
        config.data.workers, jax.process_index(), jax.process_count(), on_bad_image=config.data.on_bad_image
    )
    image_shape = preparation.image_shape(source.train[0])
    initialise = jax.jit(functools.partial(initial_variables, model, image_shape, config.seed))
    jax.eval_shape(initialise)  # a model that does not fit the images says so here
    return Experiment(mesh, source, preparation, reading, model, initialise)


def open_source(settings: ConfigDict) -> Source:
    """Opens the configured data set and checks that it has the configured number of classes."""
    open_named = look_up("data source", settings.source, data.SOURCES)
    arguments: dict[str, dict[str, Any]] = {
        "digits": {},
        "folder": {"data_dir": settings.data_dir, "exclude": settings.exclude, "how_to_get": settings.how_to_get},
        "tfds": {"name": settings.name, "data_dir": settings.data_dir},
    }
    source = open_named(**arguments[settings.source])
    if len(source.classes) != settings.num_classes:
        raise InputError(
            f"config.data.num_classes: {source.name} has {len(source.classes)} classes, got {settings.num_classes}"
        )
    return source


def count_steps(examples: int, batch_size: int) -> int:
    """Steps in an epoch: whole batches, the rest going into the next epoch."""
    if batch_size > examples:
        raise InputError(
            f"config.batch_size: {batch_size} images are more than the {examples:,} there are for training; lower it"
        )
    return examples // batch_size


def build_model(settings: ConfigDict, num_classes: int):
    """The configured model."""
    return create_model(
        settings.name,
        num_classes,
        spiking=spiking_spec(**settings.spiking),
        paths=settings.paths,
        stem=settings.stem,
        statistics_group=settings.statistics_group,
        dtype=jnp.dtype(settings.dtype),
    )


def initial_variables(model, image_shape: tuple[int, ...], seed: int) -> dict[str, Any]:
    """A freshly initialised model, a function of the seed."""
    group = model.paths.statistics_group or 1  # a batch-wide value range wants whole groups even here
    return model.init(jax.random.key(seed), jnp.zeros((group, *image_shape)), train=False)


def read_weights(settings: ConfigDict, model, expected: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The variables of `init_from`, made to fit the model, and how many tracked value ranges they have not.

    Args:
      settings: the config's model section.
      model, expected: the model and its freshly initialised variables.

    Raises:
      InputError: they cannot be read, or belong to another model.
    """
    path = pathlib.Path(settings.init_from).expanduser()
    weights, about = load_weights(path)
    try:
        return fit_weights(model, expected, weights, fresh_head=settings.init_head == "fresh")
    except InputError as error:
        other_classes = about.get("num_classes") != model.num_classes and settings.init_head == "keep"
        fresh = "; for other classes set config.model.init_head=fresh" if other_classes else ""
        raise InputError(
            f"config.model.init_from: {path} holds weights of {about.get('name')} for {about.get('num_classes')} "
            f"classes, the config names {settings.name} for {model.num_classes}; {error}{fresh}"
        ) from None

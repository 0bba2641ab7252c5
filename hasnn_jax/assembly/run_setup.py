"""All that training and evaluation have in common, built from a config before anything is written."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from hasnn_jax.assembly.data import build_preprocessing, build_reading, open_source, require_classes
from hasnn_jax.assembly.kept_programs import KeptPrograms
from hasnn_jax.assembly.model import build_model, initial_variables
from hasnn_jax.config import validate
from hasnn_jax.data import Preprocessing, Reading, Source
from hasnn_jax.models import Model
from hasnn_jax.models.quick_jit import quick_jit, quick_options
from hasnn_jax.training import sharding


@dataclasses.dataclass(frozen=True)
class RunSetup:
    """The parts that training and evaluation have in common.

    Attributes:
      mesh: the devices.
      source: training and test examples.
      preprocessing: example -> image of the model's size.
      reading: how this process reads its share of the batches.
      batch_size: images per step, over all devices.
      model: a Flax module.
      initialise: () -> freshly initialised variables, a function of the seed.
      shapes: and dtypes of these variables.
      programs: that are kept for the next start.
    """

    mesh: Mesh
    source: Source
    preprocessing: Preprocessing
    reading: Reading
    batch_size: int
    model: Model
    initialise: Callable[[], dict[str, Any]]
    shapes: dict[str, Any]
    programs: KeptPrograms


def set_up(config: ConfigDict, keep_programs_in: pathlib.Path | None = None) -> RunSetup:
    """Opens the data and builds the model that the config names.

    Args:
      config: see `hasnn_jax.config.default_config`.
      keep_programs_in: folder in which traced programs are kept; see `KeptPrograms`.

    Raises:
      InputError: a setting that is unknown or out of range, data that cannot be opened, or a model that does not fit
        the images.
    """
    validate(config)
    mesh = sharding.make_mesh()
    sharding.require_divisible(config.batch_size, mesh)
    source = open_source(config.data)
    require_classes(source, config.data.num_classes)
    preprocessing = build_preprocessing(config.data)
    model = build_model(config.model, config.data.num_classes)
    image_shape = preprocessing.image_shape(source.train[0])
    kept = KeptPrograms(keep_programs_in, config, sharding.replicated(mesh), image_shape)
    initialise = quick_jit(functools.partial(initial_variables, model, image_shape))
    initialise = kept.keep("initial_variables", initialise, compiler_options=quick_options())
    seed = np.uint32(config.seed)  # no part of the program, so that other seeds' runs find it too
    return RunSetup(
        mesh,
        source,
        preprocessing,
        build_reading(config.data),
        config.batch_size,
        model,
        functools.partial(initialise, seed),
        initialise.shapes(seed),  # raises where the model does not fit the images
        kept,
    )

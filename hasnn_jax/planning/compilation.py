"""The training step, compiled ahead of time for devices that need not be here."""

import dataclasses
import functools
import importlib.metadata
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from hasnn_jax.assembly import build_model, count_steps, initial_variables
from hasnn_jax.config import validate
from hasnn_jax.errors import InputError
from hasnn_jax.planning.compiler_errors import Refusal, first_line, read_refusal
from hasnn_jax.planning.cost import Cost, read_cost
from hasnn_jax.training import sharding
from hasnn_jax.training_program import build_training

COMPILED_BY = ("jax", "jaxlib", "libtpu", "flax", "optax")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the compiler gave: a cost, or a refusal; and how long it took, in seconds."""

    cost: Cost | None
    refusal: Refusal | None
    seconds: float


def lower_step(config: ConfigDict, mesh: Mesh, examples: int, channels: int) -> Any:
    """The configured training step over the mesh as `jax.stages.Lowered`, ready to be compiled; nothing is computed.

    Args:
      config: see `hasnn_jax.config.default_config`.
      mesh: the devices, which need not be here.
      examples: for training.
      channels: of an image.

    Raises:
      InputError: the config is not so, or does not go with the devices.
    """
    validate(config)
    try:
        sharding.require_divisible(config.batch_size, mesh)
    except InputError as error:
        raise InputError(f"{error}; set it by --config.batch_size") from None
    model = build_model(config.model, config.data.num_classes)
    steps_per_epoch = count_steps(examples, config.batch_size)
    image = (config.data.image_size, config.data.image_size, channels)
    variables = jax.eval_shape(lambda: initial_variables(model, image, config.seed))
    training = build_training(config, model, variables, mesh, steps_per_epoch)
    divided = functools.partial(jax.ShapeDtypeStruct, sharding=sharding.over_batch(mesh))
    batch = {
        "image": divided((config.batch_size, *image), jnp.uint8),
        "label": divided((config.batch_size,), jnp.int32),
        "replaced": divided((config.batch_size,), jnp.bool_),
    }
    state = jax.tree.map(
        lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), training.state, training.shardings
    )
    return training.step.lower(state, batch)


def compile_step(lowered: Callable[[], Any], devices: int, trips: int) -> Outcome:
    """Compiles, and reads what comes of it.

    Args:
      lowered: () -> what to compile.
      devices: that it is for.
      trips: see `hasnn_jax.planning.cost.read_cost`.

    Raises:
      InputError: the compiler fails for another reason than memory.
    """
    began = time.monotonic()
    cost, refusal = None, None
    try:
        cost = read_cost(lowered().compile(), devices, trips)
    except jax.errors.JaxRuntimeError as error:
        refusal = read_refusal(str(error))
        if refusal is None:
            raise InputError(f"the step cannot be compiled: {first_line(error)}") from None
    return Outcome(cost, refusal, time.monotonic() - began)


def version(name: str) -> str | None:
    """Of an installed package; None if it is not."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

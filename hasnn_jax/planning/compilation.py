"""Ahead-of-time compilation of the training step, for devices that need not be present."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from hasnn_jax.assembly.data import count_steps
from hasnn_jax.assembly.model import build_model, initial_variables
from hasnn_jax.assembly.program import build_program
from hasnn_jax.common.errors import InputError, first_line
from hasnn_jax.config import validate
from hasnn_jax.planning.compiler_errors import Refusal, read_refusal
from hasnn_jax.planning.hlo_parser import parse_hlo
from hasnn_jax.planning.profile import Profile, read_profile
from hasnn_jax.planning.step_cost import Cost, read_cost
from hasnn_jax.training import sharding

TPU_COMPILERS = ("libtpu",)
GPU_COMPILERS = ("jax-cuda13-pjrt", "nvidia-cudnn-cu13", "jax-cuda12-pjrt", "nvidia-cudnn-cu12")
COMPILED_BY = ("jax", "jaxlib", *TPU_COMPILERS, *GPU_COMPILERS, "flax", "optax")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a compilation: either a cost or a refusal.

    Attributes:
      cost: None if the program does not fit.
      refusal: None if the program compiles.
      seconds: how long the compilation took.
      profile: None if the program does not fit.
    """

    cost: Cost | None
    refusal: Refusal | None
    seconds: float
    profile: Profile | None = None


def lower_step(config: ConfigDict, mesh: Mesh, examples: int, channels: int) -> Any:
    """Lowers the configured training step to a `jax.stages.Lowered`, ready to be compiled. Nothing is computed.

    Args:
      config: see `hasnn_jax.config.default_config`.
      mesh: the devices, which need not be present.
      examples: for training.
      channels: of an image.

    Raises:
      InputError: a setting is unknown or out of range, or the batch cannot be divided among the devices.
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
    program = build_program(config, model, variables, mesh, steps_per_epoch)
    sharded = functools.partial(jax.ShapeDtypeStruct, sharding=sharding.over_batch(mesh))
    batch = {
        "image": sharded((config.batch_size, *image), jnp.uint8),
        "label": sharded((config.batch_size,), jnp.int32),
        "replaced": sharded((config.batch_size,), jnp.bool_),
    }
    state = jax.tree.map(
        lambda x, where: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), program.state, program.shardings
    )
    # This project's kernels are compiled for a kind of GPU, which JAX asks the mesh for.
    for_gpu = mesh.devices.flat[0].platform in ("gpu", "cuda", "rocm")
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh) if for_gpu else contextlib.nullcontext():
        return program.step.lower(state, batch)


def compile_step(lower: Callable[[], Any], devices: int, accumulation_steps: int) -> Outcome:
    """Lowers and compiles a training step, and reads its cost and its profile.

    Args:
      lower: () -> a `jax.stages.Lowered`.
      devices: that the step runs on.
      accumulation_steps: gradient accumulation steps per device.

    Raises:
      InputError: the compiler fails for another reason than memory.
    """
    began = time.monotonic()
    cost, refusal, profile = None, None, None
    try:
        compiled = lower().compile()
        program = parse_hlo(compiled.as_text())
        profile = read_profile(program)
        cost = read_cost(compiled, program, profile, devices, accumulation_steps)
    except jax.errors.JaxRuntimeError as error:
        refusal = read_refusal(str(error))
        if refusal is None:
            raise InputError(f"the step cannot be compiled: {first_line(error)}") from None
    return Outcome(cost, refusal, time.monotonic() - began, profile)

"""The configured train program: schedule, optimizer and gradients over a mesh of devices."""

import functools
from collections.abc import Callable
from typing import Any

import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from hasnn_jax.checkpoints.fit_weights import Variables
from hasnn_jax.common.lookup import call_with, look_up
from hasnn_jax.models import Model
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.training import optimizers
from hasnn_jax.training.mixing import draw_mix
from hasnn_jax.training.program import DrawMix, TrainProgram, gradients_over_mesh, make_program


def build_program(
    config: ConfigDict, model: Model, variables: Variables, mesh: Mesh, steps_per_epoch: int
) -> TrainProgram:
    """The configured train program.

    Args:
      config: see `hasnn_jax.config.default_config`.
      model: the configured model.
      variables: its variables, or their shapes and dtypes.
      mesh: the devices. They need not be present: the step can be compiled for them all the same.
      steps_per_epoch: for the schedule.

    Raises:
      InputError: see `hasnn_jax.training.program.gradients_over_mesh`.
    """
    schedule = build_schedule(config, steps_per_epoch)
    return make_program(
        schedule,
        build_optimizer(config.optim, schedule),
        build_gradients(config, model, mesh),
        variables,
        mesh,
        average_decay=config.optim.average_decay,
        fully_sharded=config.shard_parameters,
        draw_mix=build_mixing(config),
    )


def build_schedule(config: ConfigDict, steps_per_epoch: int) -> optax.Schedule:
    """The configured learning rate as a function of the step."""
    timing = {"learning_rate": config.optim.learning_rate, "epochs": config.epochs, "steps_per_epoch": steps_per_epoch}
    return call_with(
        look_up("schedule", config.schedule.name, optimizers.SCHEDULES), {**config.schedule.to_dict(), **timing}
    )


def build_optimizer(settings: ConfigDict, schedule: optax.Schedule) -> optax.GradientTransformation:
    """The configured optimizer, with gradient clipping before it."""
    make = look_up("optimizer", settings.name, optimizers.OPTIMIZERS)
    optimizer = call_with(make, {**settings.to_dict(), "schedule": schedule})
    return optimizers.clipped(optimizer, norm=settings.clip_norm, rms=settings.clip_rms)


def build_gradients(config: ConfigDict, model: Model, mesh: Mesh) -> Callable[..., Any]:
    """The configured gradients of a batch over the mesh; see `hasnn_jax.training.program.gradients_over_mesh`."""
    return gradients_over_mesh(
        compile_for(mesh, model.apply),
        mesh,
        batch_size=config.batch_size,
        statistics_group=config.model.statistics_group,
        accumulation_steps=config.accumulate,
        label_smoothing=config.optim.label_smoothing,
    )


def build_mixing(config: ConfigDict) -> DrawMix | None:
    """How a step draws the configured mixup or cutmix; None: images are not mixed."""
    mixup, cutmix = config.optim.mixup, config.optim.cutmix
    if mixup is None and cutmix is None:
        return None
    return functools.partial(draw_mix, seed=config.seed, mixup=mixup, cutmix=cutmix)

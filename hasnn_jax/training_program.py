"""How training goes on a mesh of devices: how its state begins, how it lies on them, and how a step changes it."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from hasnn_jax.errors import InputError
from hasnn_jax.lookup import look_up
from hasnn_jax.training import optimizers, sharding, steps
from hasnn_jax.training.state import TrainState, create_state


@dataclasses.dataclass(frozen=True)
class Training:
    """A config's training of a model over a mesh.

    Attributes:
      schedule: step -> learning rate.
      begin: variables of the model -> the state before the first step, on the devices.
      step: (state, batch) -> (state, what was measured), a `jax.jit` that replaces the state in place.
      state: shapes and dtypes of the state.
      shardings: of the state.
    """

    schedule: optax.Schedule
    begin: Callable[[Any], TrainState]
    step: Any
    state: TrainState
    shardings: TrainState


def build_training(config: ConfigDict, model, variables: Any, mesh: Mesh, steps_per_epoch: int) -> Training:
    """The configured training.

    Args:
      config: see `hasnn_jax.config.default_config`.
      model: as it names it.
      variables: the model's, or their shapes and dtypes.
      mesh: the devices, which need not be here: the step can be compiled for them all the same.
      steps_per_epoch: for the schedule.

    Raises:
      InputError: see `build_gradients`.
    """
    schedule = build_schedule(config, steps_per_epoch)
    optimizer = build_optimizer(config.optim, schedule)
    averaged = config.optim.average_decay is not None
    begin = functools.partial(create_state, optimizer=optimizer, seed=config.seed, averaged=averaged)
    state = jax.eval_shape(begin, variables)
    shardings = sharding.of_state(state, mesh, fully_sharded=config.shard_parameters)
    step = functools.partial(
        steps.train_step,
        gradients=build_gradients(config, model, mesh, shardings.params),
        optimizer=optimizer,
        average_decay=config.optim.average_decay,
    )
    divided, whole = sharding.over_batch(mesh), sharding.replicated(mesh)
    return Training(
        schedule,
        jax.jit(begin, out_shardings=shardings),
        jax.jit(step, in_shardings=(shardings, divided), out_shardings=(shardings, whole), donate_argnums=0),
        state,
        shardings,
    )


def build_schedule(config: ConfigDict, steps_per_epoch: int) -> optax.Schedule:
    """The configured learning rate as a function of the step."""
    settings = config.schedule
    return look_up("schedule", settings.name, optimizers.SCHEDULES)(
        config.optim.learning_rate,
        epochs=config.epochs,
        steps_per_epoch=steps_per_epoch,
        warmup_epochs=settings.warmup_epochs,
        warmup_start=settings.warmup_start,
        per_epoch=settings.per_epoch,
    )


def build_optimizer(settings: ConfigDict, schedule: optax.Schedule) -> optax.GradientTransformation:
    """The configured optimizer, with gradient clipping in front of it."""
    make = look_up("optimizer", settings.name, optimizers.OPTIMIZERS)
    optimizer = make(schedule, settings.weight_decay, settings.momentum)
    return optimizers.clipped(optimizer, norm=settings.clip_norm, rms=settings.clip_rms)


def build_gradients(config: ConfigDict, model, mesh: Mesh, param_shardings: Any) -> Callable[..., Any]:
    """The configured `steps.gradients` over the mesh: (params, batch_stats, batch) -> (gradients, batch_stats, sums).

    Where no statistics group reaches over two devices, each device works for itself, and the results are brought
    together once. Where one does, the compiler divides the work, and adds communication in every layer.

    Raises:
      InputError: the batch cannot be gone through in so many parts.
    """
    group, parts = config.model.statistics_group, config.accumulate
    gradients = functools.partial(
        steps.gradients, apply=model.apply, label_smoothing=config.optim.label_smoothing, parts=parts
    )
    if sharding.groups_stay_on_devices(group, config.batch_size, mesh, parts):
        return sharding.on_each_device(gradients, mesh, param_shardings)
    if parts > 1:
        share = config.batch_size // mesh.shape[sharding.DATA]
        if share % parts:
            raise InputError(
                f"config.accumulate: expected a divisor of the {share} images that a device has of a batch of "
                f"{config.batch_size}; got {parts}"
            )
        raise InputError(
            f"config.accumulate: {parts} parts of the {share} images that a device has of a batch of "
            f"{config.batch_size} are no whole statistics groups of {group or config.batch_size}; set "
            f"config.model.statistics_group to {share // parts} or a divisor of it, or accumulate fewer parts"
        )
    return gradients

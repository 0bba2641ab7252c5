"""The train program: how the state is created, how it is sharded over a mesh of devices, and how a step changes it."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax
from jax.sharding import Mesh

from hasnn_jax.common.errors import InputError
from hasnn_jax.training import compiler_options, sharding, steps, together
from hasnn_jax.training.mixing import Mix
from hasnn_jax.training.state import TrainState, create_state

Gradients = Callable[..., Any]
DrawMix = Callable[[jax.Array, int, int], Mix]


@dataclasses.dataclass(frozen=True)
class TrainProgram:
    """Functions over a mesh of devices, compiled when they are first called.

    Attributes:
      schedule: step -> learning rate.
      begin: variables of the model -> the state before the first step, on the devices.
      step: (state, batch) -> (state, metrics); a `jax.jit` that donates the state.
      compiler_options: of this `jax.jit`.
      state: shapes and dtypes of the state.
      shardings: of the state.
    """

    schedule: optax.Schedule
    begin: Callable[[Any], TrainState]
    step: Any
    compiler_options: dict[str, Any] | None
    state: TrainState
    shardings: TrainState


def make_program(
    schedule: optax.Schedule,
    optimizer: optax.GradientTransformation,
    gradients: Callable[[Any], Gradients],
    variables: Mapping[str, Any],
    mesh: Mesh,
    *,
    average_decay: float | None = None,
    fully_sharded: bool = False,
    draw_mix: DrawMix | None = None,
) -> TrainProgram:
    """Puts a train program together.

    Args:
      schedule: step -> learning rate.
      optimizer: with that schedule.
      gradients: see `gradients_over_mesh`.
      variables: the model's, or their shapes and dtypes.
      mesh: the devices; they need not be present.
      average_decay: of the moving average of the weights; None: no average is kept.
      fully_sharded: shard parameters, optimizer state and average; see `sharding.of_state`.
      draw_mix: (step, height, width) -> how the step mixes its images; None: it does not.
    """
    begin = functools.partial(create_state, optimizer=optimizer, averaged=average_decay is not None)
    state = jax.eval_shape(begin, variables)
    shardings = sharding.of_state(state, mesh, fully_sharded=fully_sharded)
    step = functools.partial(
        steps.train_step,
        gradients=gradients(shardings.params),
        optimizer=optimizer,
        average_decay=average_decay,
        draw_mix=draw_mix,
        together=together.pays_off(mesh, fully_sharded=fully_sharded),
    )
    over_batch, replicated = sharding.over_batch(mesh), sharding.replicated(mesh)
    options = compiler_options.of_step(mesh)
    return TrainProgram(
        schedule,
        jax.jit(begin, out_shardings=shardings),
        jax.jit(
            step,
            in_shardings=(shardings, over_batch),
            out_shardings=(shardings, replicated),
            donate_argnums=0,
            compiler_options=options,
        ),
        options,
        state,
        shardings,
    )


def gradients_over_mesh(
    apply: Callable[..., Any],
    mesh: Mesh,
    *,
    batch_size: int,
    statistics_group: int | None = None,
    accumulation_steps: int = 1,
    label_smoothing: float = 0.0,
) -> Callable[[Any], Gradients]:
    """`steps.gradients` of a global batch: shardings of the params -> (params, batch_stats, batch, mix) -> its results.

    Where no statistics group spans two devices, each device computes its own share, and the results are reduced once.
    Otherwise the compiler partitions the computation, which adds communication to every layer.

    Args:
      apply: a Flax module's `apply`.
      mesh: the devices.
      batch_size: images per step, over all devices.
      statistics_group: how many consecutive examples share batch statistics, and are mixed among themselves if images
        are mixed; None: the whole batch.
      accumulation_steps: gradient accumulation steps per device.
      label_smoothing: see `steps.cross_entropy`.

    Raises:
      InputError: a device's share of the batch cannot be split into that many accumulation steps.
    """
    gradients = functools.partial(
        steps.gradients,
        apply=apply,
        label_smoothing=label_smoothing,
        accumulation_steps=accumulation_steps,
        mix_group=statistics_group,
    )
    if sharding.groups_stay_on_devices(statistics_group, batch_size, mesh, accumulation_steps):
        return functools.partial(sharding.on_each_device, gradients, mesh)
    if accumulation_steps > 1:
        _refuse_accumulation(accumulation_steps, batch_size, batch_size // mesh.shape[sharding.DATA], statistics_group)
    return lambda param_shardings: gradients


def _refuse_accumulation(accumulation_steps: int, batch_size: int, share: int, statistics_group: int | None) -> None:
    if share % accumulation_steps:
        raise InputError(
            f"config.accumulate: expected a divisor of the {share} images that a device has of a batch of "
            f"{batch_size}; got {accumulation_steps}"
        )
    raise InputError(
        f"config.accumulate: {accumulation_steps} steps over the {share} images that a device has of a batch of "
        f"{batch_size} do not hold whole statistics groups of {statistics_group or batch_size}; set "
        f"config.model.statistics_group to {share // accumulation_steps} or a divisor of it, or accumulate over fewer "
        "steps"
    )

"""A plan as data, and what follows from it."""

import dataclasses
from collections.abc import Mapping

from ml_collections import ConfigDict

from hasnn_jax.assembly.data import count_steps
from hasnn_jax.common.machine import version
from hasnn_jax.planning.chips import Chip
from hasnn_jax.planning.compilation import COMPILED_BY, Outcome
from hasnn_jax.planning.devices import Target
from hasnn_jax.planning.gpus import Gpu
from hasnn_jax.planning.step_cost import Cost

SECONDS_PER_DAY = 86400


@dataclasses.dataclass(frozen=True)
class Workload:
    """A training that is planned: the config's settings of the same names, and what follows from the data.

    Attributes:
      image: (height, width, channels).
      accumulation_steps: gradient accumulation steps per device.
      examples: for training.
      steps: in all epochs.
    """

    model: str
    dtype: str
    image: tuple[int, int, int]
    statistics_group: int | None
    accumulation_steps: int
    shard_parameters: bool
    remat: str
    batch_size: int
    examples: int
    epochs: int
    steps: int


@dataclasses.dataclass(frozen=True)
class Seconds:
    """Estimated seconds of a step.

    Attributes:
      cycles: the compiler's estimate of everything but collectives.
      collectives: communication around a ring that does not overlap with computation.
      flops_bound: what the FLOPs take at the peak rate; a lower bound.
      bytes_bound: what the accessed bytes take at the bandwidth of the memory; a lower bound if all are in memory.
    """

    cycles: float
    collectives: float
    flops_bound: float
    bytes_bound: float

    @property
    def step(self) -> float:
        """The whole step."""
        return self.cycles + self.collectives


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Seconds that a step takes at least on a GPU. How long it does take, no compiler estimates.

    Attributes:
      flops: what the FLOPs of convolutions and matrix products take at the peak rate.
      bytes: what the bytes that kernels read and write take at the bandwidth of the memory, if no cache holds them.
    """

    flops: float
    bytes: float

    @property
    def step(self) -> float:
        """The whole step: the larger bound, for both may go on at once."""
        return max(self.flops, self.bytes)


@dataclasses.dataclass(frozen=True)
class Trial:
    """A batch that was tried in a search, and whether it fits."""

    batch_size: int
    fits: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """What training would cost on certain devices.

    Attributes:
      workload: the training that is planned.
      topology: the name of the devices, as given to --topology.
      devices: how many there are.
      device_kind: the `device_kind` of the devices.
      chip: their TPU generation or GPU; None for the devices of this machine.
      limit: bytes of memory that a program may use on each device; None where the device does not report it.
      outcome: of the compilation.
      cached: whether the outcome comes from the cache.
      versions: package -> version, None if it is not installed.
      trials: of the search for the largest batch; empty without a search.
    """

    workload: Workload
    topology: str
    devices: int
    device_kind: str
    chip: Chip | Gpu | None
    limit: float | None
    outcome: Outcome
    cached: bool
    versions: Mapping[str, str | None]
    trials: tuple[Trial, ...] = ()

    @property
    def images_per_device(self) -> int:
        """Each device's share of a batch."""
        return self.workload.batch_size // self.devices

    @property
    def fits(self) -> bool | None:
        """Whether the step fits into memory; None where the device does not report how much memory it has."""
        if self.outcome.cost is None:
            return False
        if isinstance(self.chip, Chip):
            return True  # the TPU compiler refuses a program that does not fit
        return None if self.limit is None else self.outcome.cost.memory.peak <= self.limit

    @property
    def needed(self) -> float | None:
        """Bytes of memory that the step needs on each device; None where the compiler does not say."""
        cost, refusal = self.outcome.cost, self.outcome.refusal
        if cost is not None:
            return cost.memory.peak
        return None if refusal is None else refusal.needed

    @property
    def available(self) -> float | None:
        """Bytes of memory that a program may use on each device; None where nothing reports it."""
        refusal = self.outcome.refusal
        return (refusal.available if refusal else None) or self.limit

    @property
    def seconds(self) -> Seconds | None:
        """The estimate for a step; None where the compiler estimates no cycles."""
        cost = self.outcome.cost
        return estimate(cost, self.chip) if cost is not None and isinstance(self.chip, Chip) else None

    @property
    def bounds(self) -> Bounds | None:
        """What a step takes at least on a GPU; None for other devices, and if the step does not compile."""
        cost = self.outcome.cost
        if cost is None or not isinstance(self.chip, Gpu):
            return None
        return Bounds(cost.flops / self.chip.flops, cost.bytes_accessed / self.chip.bandwidth)

    @property
    def days(self) -> float | None:
        """The estimate for all steps, without evaluation; None where there is none for a step."""
        return self.workload.steps * self.seconds.step / SECONDS_PER_DAY if self.seconds else None


def make_plan(
    config: ConfigDict, target: Target, outcome: Outcome, *, examples: int, channels: int, cached: bool
) -> Plan:
    """Puts a plan together.

    Args:
      config: see `hasnn_jax.config.default_config`.
      target: the devices.
      outcome: of the compilation.
      examples: for training.
      channels: of an image.
      cached: whether the outcome comes from the cache.
    """
    workload = Workload(
        model=config.model.name,
        dtype=config.model.dtype,
        image=(config.data.image_size, config.data.image_size, channels),
        statistics_group=config.model.statistics_group,
        accumulation_steps=config.accumulate,
        shard_parameters=config.shard_parameters,
        remat=config.model.remat,
        batch_size=config.batch_size,
        examples=examples,
        epochs=config.epochs,
        steps=config.epochs * count_steps(examples, config.batch_size),
    )
    return Plan(
        workload=workload,
        topology=target.name,
        devices=target.devices,
        device_kind=target.kind,
        chip=target.chip,
        limit=target.limit,
        outcome=outcome,
        cached=cached,
        versions={name: version(name) for name in COMPILED_BY},
    )


def estimate(cost: Cost, chip: Chip) -> Seconds | None:
    """Estimated seconds of a step; None if the compiler estimates no cycles."""
    if cost.cycles is None:
        return None
    return Seconds(
        cycles=cost.cycles / chip.clock,
        collectives=sum(collective.sent for collective in cost.collectives) / chip.ring,
        flops_bound=cost.flops / chip.flops,
        bytes_bound=cost.bytes_accessed / chip.bandwidth,
    )

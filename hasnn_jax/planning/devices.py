"""The devices to plan for: a TPU slice or GPUs that need not be present, or the devices of this machine."""

import dataclasses
import os

import jax
from jax.sharding import Mesh

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.lookup import unknown_name
from hasnn_jax.planning.chips import CHIPS, Chip
from hasnn_jax.planning.gpu_devices import XLA_SETTING, gpu_devices, memory_limit, read_count
from hasnn_jax.planning.gpus import GPUS, MOST_GPUS, Gpu
from hasnn_jax.planning.tpu_slices import LIBTPU_SETTINGS, read_slice, slice_devices
from hasnn_jax.training import sharding

LOCAL = "local"
FORM = f"family:AxB or family:AxBxC for TPUs, such as v5e:2x4, family:N for GPUs, such as h100:8, or {LOCAL}"


@dataclasses.dataclass(frozen=True)
class Target:
    """The devices to plan for.

    Attributes:
      name: as given to --topology.
      mesh: of the devices.
      chip: their TPU generation or GPU; None for the devices of this machine.
      limit: bytes of memory that a program may use on each device; None where the device does not report it.
    """

    name: str
    mesh: Mesh
    chip: Chip | Gpu | None
    limit: float | None

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return self.mesh.size

    @property
    def kind(self) -> str:
        """The `device_kind` of the devices."""
        return self.mesh.devices.flat[0].device_kind


def compile_only(topology: str) -> None:
    """Restricts JAX to the CPU and sets up the compilers of other devices. Call it before JAX initialises its backends.

    The CPU is enough for the rest of the work, and a device that is present stays free for other processes.

    Args:
      topology: that is going to be compiled for, as given to --topology.
    """
    jax.config.update("jax_platforms", "cpu")
    os.environ.update({name: value for name, value in LIBTPU_SETTINGS.items() if name not in os.environ})
    # Compilers would log what the plan says itself, such as too little memory. 1 is what JAX sets where nothing is set.
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if topology.partition(":")[0] in GPUS:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {XLA_SETTING}".strip()


def find_target(topology: str) -> Target:
    """The devices of a topology.

    Args:
      topology: "local"; or for example "v5e:2x4", eight chips of TPU v5e in a torus of 2 by 4; or "h100:8", eight GPUs
        of one machine.

    Raises:
      InputError: there is no such topology, or its compiler is not installed.
    """
    if topology == LOCAL:
        statistics = jax.devices()[0].memory_stats() or {}
        return Target(LOCAL, sharding.make_mesh(), None, statistics.get("bytes_limit"))
    family = topology.partition(":")[0]
    if family in CHIPS:
        chip = read_slice(topology)
        return Target(topology, sharding.make_mesh(slice_devices(topology, chip)), chip, chip.usable)
    if family in GPUS:
        gpu, count = GPUS[family], read_count(topology)
        limit = memory_limit(gpu)
        return Target(topology, sharding.make_mesh(gpu_devices(topology, gpu, count)), gpu, limit)
    raise InputError(f"--topology {topology}: {unknown_name('family', family, [*CHIPS, *GPUS])}; expected {FORM}")


def known_topologies() -> str:
    """What a topology must look like, for error messages: the form, and examples of every family."""
    slices = ", ".join(f"{family} ({', '.join(chip.sizes)})" for family, chip in CHIPS.items())
    return f"expected {FORM}; TPUs with some sizes: {slices}; GPUs, 1 to {MOST_GPUS} of them: {', '.join(GPUS)}"

"""The devices to plan for: a TPU slice that need not be present, or the devices of this machine."""

import dataclasses
import functools
import importlib.util
import os
import re

import jax
from jax.experimental import topologies
from jax.sharding import Mesh

from hasnn_jax.common.errors import InputError, first_line
from hasnn_jax.planning.chips import CHIPS, Chip
from hasnn_jax.training import sharding

LOCAL = "local"
# Without a TPU, libtpu would query Google Cloud's metadata server for the kind of machine and log that nothing answers.
# It would also refuse to be loaded by two processes at once, since they would share a TPU; here they only compile.
LIBTPU_SETTINGS = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_LOG_DIR": "disabled",
    "TPU_MIN_LOG_LEVEL": "3",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


@dataclasses.dataclass(frozen=True)
class Target:
    """The devices to plan for.

    Attributes:
      name: as given to --topology.
      mesh: of the devices.
      chip: their TPU generation; None for the devices of this machine.
      limit: bytes of memory that a program may use on each device; None where the device does not report it.
    """

    name: str
    mesh: Mesh
    chip: Chip | None
    limit: float | None

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return self.mesh.size

    @property
    def kind(self) -> str:
        """The `device_kind` of the devices."""
        return self.mesh.devices.flat[0].device_kind


def compile_without_tpu() -> None:
    """Restricts JAX to the CPU and sets up libtpu to compile only. Call it before JAX initialises its backends.

    The CPU is enough for the rest of the work, and a TPU that is present stays free for other processes.
    """
    jax.config.update("jax_platforms", "cpu")
    os.environ.update({name: value for name, value in LIBTPU_SETTINGS.items() if name not in os.environ})


def find_target(topology: str) -> Target:
    """The devices of a topology: "local", or for example "v5e:2x4", eight chips of TPU v5e in a torus of 2 by 4.

    Raises:
      InputError: there is no such slice, or its compiler is not installed.
    """
    if topology == LOCAL:
        statistics = jax.devices()[0].memory_stats() or {}
        return Target(LOCAL, sharding.make_mesh(), None, statistics.get("bytes_limit"))
    chip = read_topology(topology)
    if importlib.util.find_spec("libtpu") is None and "TPU_LIBRARY_PATH" not in os.environ:
        raise InputError(
            f"--topology {topology}: the TPU compiler is missing; run: pip install -e '.[tpu]' (outside of a checkout "
            "pip install 'hasnn_jax[tpu]'), which installs the libtpu version that matches the installed jax"
        )
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=topology, **chip.options)
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        raise InputError(
            f"--topology {topology}: {first_line(error).removeprefix('INVALID_ARGUMENT: ')}; valid sizes are for "
            f"example {', '.join(chip.sizes)}"
        ) from None
    return Target(topology, sharding.make_mesh(found.devices), chip, chip.usable)


def read_topology(topology: str) -> Chip:
    """The TPU generation of a topology such as "v5e:2x4".

    Sizes are checked here because some wrong ones make libtpu abort the process.

    Raises:
      InputError: the generation is unknown, or it has no slice of that size.
    """
    match = re.fullmatch(r"(\w+):(\d{1,5}(?:x\d{1,5})*)", topology)
    if not match or match[1] not in CHIPS:
        raise InputError(f"unknown topology {topology!r}: {known_topologies()}")
    chip = CHIPS[match[1]]
    sizes = [int(size) for size in match[2].split("x")]
    chips = functools.reduce(lambda a, b: a * b, sizes)
    if len(sizes) != chip.dimensions or not 1 <= chips <= chip.most:
        raise InputError(
            f"--topology {topology}: expected {chip.dimensions} sizes of 1 or more, {chip.most:,} chips at most; "
            f"for example {', '.join(chip.sizes)}"
        )
    return chip


def known_topologies() -> str:
    """What a topology must look like, for error messages: the form, and examples of every generation."""
    known = ", ".join(f"{family} ({', '.join(chip.sizes)})" for family, chip in CHIPS.items())
    return f"expected family:AxB or family:AxBxC, such as v5e:2x4, or {LOCAL}; families with some sizes: {known}"

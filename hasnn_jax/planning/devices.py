"""The devices that are planned for: a TPU slice that is not here, or those of this machine."""

import dataclasses
import functools
import importlib.util
import os
import re

import jax
from jax.experimental import topologies
from jax.sharding import Mesh

from hasnn_jax.errors import InputError
from hasnn_jax.planning.chips import CHIPS, Chip
from hasnn_jax.planning.compiler_errors import first_line
from hasnn_jax.training import sharding

LOCAL = "local"
# For libtpu, which would ask Google Cloud what machine it is on and complain of having no answer, and would not be used
# by two programs at once, for want of two TPUs; here there is none.
LIBTPU_ALONE = {
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
    """The devices that are planned for.

    Attributes:
      name: as given to --topology.
      mesh: of the devices.
      chip: what one of them offers; None where no table says.
      limit: bytes of memory that a program may take on each; None where the device does not say.
    """

    name: str
    mesh: Mesh
    chip: Chip | None
    limit: float | None

    @property
    def devices(self) -> int:
        """How many."""
        return self.mesh.size

    @property
    def kind(self) -> str:
        """What they call themselves."""
        return self.mesh.devices.flat[0].device_kind


def ask_for_no_tpu() -> None:
    """Has this process do without a TPU: the compiler comes with libtpu, and all else is small."""
    jax.config.update("jax_platforms", "cpu")
    os.environ.update({name: value for name, value in LIBTPU_ALONE.items() if name not in os.environ})


def find_target(topology: str) -> Target:
    """The devices of that name: "local", or "v5e:2x4" for eight of a TPU's generation in a torus of 2 by 4.

    Raises:
      InputError: there is no such slice, or no compiler for it.
    """
    if topology == LOCAL:
        statistics = jax.devices()[0].memory_stats() or {}
        return Target(LOCAL, sharding.make_mesh(), None, statistics.get("bytes_limit"))
    chip = require_known(topology)
    if importlib.util.find_spec("libtpu") is None and "TPU_LIBRARY_PATH" not in os.environ:
        raise InputError(
            f"--topology {topology}: the compiler for TPUs is missing; run: pip install -e '.[tpu]' (outside of "
            "a checkout pip install 'hasnn_jax[tpu]'), which takes the libtpu that belongs to the jax that is installed"
        )
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=topology, **chip.options)
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        raise InputError(
            f"--topology {topology}: {first_line(error).removeprefix('INVALID_ARGUMENT: ')}; sizes that are taken: "
            f"{', '.join(chip.sizes)}"
        ) from None
    return Target(topology, sharding.make_mesh(found.devices), chip, chip.usable)


def require_known(topology: str) -> Chip:
    """The chip of a topology's name, looked at before libtpu is: some sizes end its process."""
    match = re.fullmatch(r"(\w+):(\d{1,5}(?:x\d{1,5})*)", topology)
    if not match or match[1] not in CHIPS:
        raise InputError(f"unknown topology {topology!r}: {known_topologies()}")
    chip = CHIPS[match[1]]
    sizes = [int(size) for size in match[2].split("x")]
    chips = functools.reduce(lambda a, b: a * b, sizes)
    if len(sizes) != chip.dimensions or not 1 <= chips <= chip.most:
        raise InputError(
            f"--topology {topology}: expected {chip.dimensions} sizes of 1 or more, {chip.most:,} chips at most; "
            f"such as {', '.join(chip.sizes)}"
        )
    return chip


def known_topologies() -> str:
    """The form of a topology's name, and examples."""
    known = ", ".join(f"{family} ({', '.join(chip.sizes)})" for family, chip in CHIPS.items())
    return f"expected family:AxB or family:AxBxC, such as v5e:2x4, or {LOCAL}; families with some sizes: {known}"

"""TPU slices that need not be present, as devices to compile for."""

import functools
import importlib.util
import os
import re
from typing import Any

import jax
from jax.experimental import topologies

from hasnn_jax.common.errors import InputError, first_line
from hasnn_jax.planning.chips import CHIPS, Chip

# Without a TPU, libtpu would query Google Cloud's metadata server for the kind of machine and log that nothing answers.
# It would also refuse to be loaded by two processes at once, since they would share a TPU; here they only compile.
LIBTPU_SETTINGS = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_LOG_DIR": "disabled",
    "TPU_MIN_LOG_LEVEL": "3",
}


def read_slice(topology: str) -> Chip:
    """The TPU generation of a topology such as "v5e:2x4".

    Sizes are checked here because some wrong ones make libtpu abort the process.

    Raises:
      InputError: the generation, which must be known, has no slice of that size.
    """
    family, _, listed = topology.partition(":")
    chip = CHIPS[family]
    sizes = [int(size) for size in listed.split("x")] if re.fullmatch(r"\d{1,5}(x\d{1,5})*", listed) else []
    chips = functools.reduce(lambda a, b: a * b, sizes, 1)
    if len(sizes) != chip.dimensions or not 1 <= chips <= chip.most:
        raise InputError(
            f"--topology {topology}: expected {chip.dimensions} sizes of 1 or more, {chip.most:,} chips at most; "
            f"for example {', '.join(f'{family}:{size}' for size in chip.sizes)}"
        )
    return chip


def slice_devices(topology: str, chip: Chip) -> list[Any]:
    """The devices of a slice.

    Raises:
      InputError: the TPU compiler is not installed, or refuses the size.
    """
    if importlib.util.find_spec("libtpu") is None and "TPU_LIBRARY_PATH" not in os.environ:
        raise InputError(
            f"--topology {topology}: the TPU compiler is missing; run: pip install -e '.[tpu]' (outside of a checkout "
            "pip install 'hasnn_jax[tpu]'), which installs the libtpu version that matches the installed jax"
        )
    try:
        return topologies.get_topology_desc(platform="tpu", topology_name=topology, **chip.options).devices
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        raise InputError(
            f"--topology {topology}: {first_line(error).removeprefix('INVALID_ARGUMENT: ')}; valid sizes are for "
            f"example {', '.join(chip.sizes)}"
        ) from None

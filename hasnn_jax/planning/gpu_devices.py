"""GPUs that need not be present, as devices to compile for."""

import os
import re
from typing import Any

import jax
from jax.experimental import topologies

from hasnn_jax.common.errors import InputError, first_line
from hasnn_jax.common.machine import version
from hasnn_jax.planning.gpus import JAX_SHARE, MOST_GPUS, Gpu, target_config

# XLA would choose among implementations of a convolution or a matrix product by running them on the GPU.
XLA_SETTING = "--xla_gpu_autotune_level=0"
CUDNN = ("nvidia-cudnn-cu13", "nvidia-cudnn-cu12")
OLDEST_CUDNN = "9.8.0"  # that JAX runs with; assumed where the library is not installed as a Python package


def read_count(topology: str) -> int:
    """The number of GPUs in a topology such as "h100:8".

    Raises:
      InputError: it is not the number of GPUs in a machine.
    """
    family, _, count = topology.partition(":")
    if not re.fullmatch(r"\d{1,5}", count) or not 1 <= int(count) <= MOST_GPUS:
        raise InputError(
            f"--topology {topology}: expected the number of GPUs in a machine, 1 to {MOST_GPUS}, as in {family}:1 or "
            f"{family}:{MOST_GPUS}"
        )
    return int(count)


def gpu_devices(topology: str, gpu: Gpu, count: int) -> list[Any]:
    """So many GPUs of one machine.

    Raises:
      InputError: the GPU compiler is not installed, or does not know the GPU.
    """
    arrangement = f"1x1x{count}"  # partitions of hosts, hosts, GPUs of a host
    installed = next(filter(None, map(version, CUDNN)), OLDEST_CUDNN)
    major, minor, patch = (int(part) for part in installed.split(".")[:3])
    config = target_config(gpu, (major, minor, patch))
    try:
        found = topologies.get_topology_desc(
            platform="cuda", topology_name=arrangement, topology=arrangement, target_config=config
        )
    except NotImplementedError:  # what JAX raises where no plugin for CUDA is installed
        raise InputError(
            f"--topology {topology}: the GPU compiler is missing; run: pip install -e '.[cuda]' (outside of a checkout "
            "pip install 'hasnn_jax[cuda]'), which installs the CUDA plugin that matches the installed jax"
        ) from None
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        raise InputError(
            f"--topology {topology}: the GPU compiler does not know {gpu.name}: {first_line(error)}"
        ) from None
    return found.devices


def memory_limit(gpu: Gpu) -> float:
    """Bytes of a GPU's memory that JAX allocates for programs, by default or as the environment says.

    Raises:
      InputError: the environment's share of the memory is not a number.
    """
    for name in ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"):
        if text := os.environ.get(name):
            try:
                return float(text) * gpu.reported
            except ValueError:
                raise InputError(f"{name}: expected a share of the GPU's memory such as 0.9, got {text!r}") from None
    return JAX_SHARE * gpu.reported

"""Where a run was trained, for its run.json."""

import os
import platform
from typing import Any

import jax

from hasnn_jax.common.machine import commit, processor, version

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def describe_machine() -> dict[str, Any]:
    """Versions, commit, processor and devices. The commit ends in "-dirty" where tracked files differ from it."""
    versions = {name: found for name in PACKAGES if (found := version(name))}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "commit": commit(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
    }

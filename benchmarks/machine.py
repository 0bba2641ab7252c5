"""Where and when a measurement was made: device, processor, versions, commit, date."""

import datetime
import os
import platform

import jax

from hasnn_jax.common.machine import commit, processor, version

PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "spikingjelly")


def describe_machine() -> dict[str, object]:
    """Everything that a figure has to be read with. The commit ends in "-dirty" where tracked files differ from it."""
    return {
        "device": jax.devices()[0].device_kind,
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := version(name))},
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
    }

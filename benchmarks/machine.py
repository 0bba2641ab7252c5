"""Where and when a measurement was made: device, processor, versions, commit, date."""

import datetime
import os
import pathlib
import platform
import re
import subprocess

import jax

from hasnn_jax.planning.compilation import version

PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "spikingjelly")
ROOT = pathlib.Path(__file__).parents[1]


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


def processor() -> str:
    """The processor's model, as Linux names it, or else its architecture."""
    info = pathlib.Path("/proc/cpuinfo")
    match = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return match[1] if match else platform.machine()


def commit() -> str | None:
    """The commit that is checked out; None outside a git checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None

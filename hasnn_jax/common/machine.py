"""Where something was computed: versions, processor, and the commit of the package."""

import importlib.metadata
import pathlib
import platform
import re
import subprocess

PACKAGE = pathlib.Path(__file__).parents[1]


def version(name: str) -> str | None:
    """The version of an installed package; None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's model, as Linux names it, or else its architecture."""
    info = pathlib.Path("/proc/cpuinfo")
    match = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return match[1] if match else platform.machine()


def commit() -> str | None:
    """The package's commit, with "-dirty" where tracked files differ from it; None outside a git checkout of it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    if not (PACKAGE.parent / ".git").exists():  # an installed package may lie in another project's checkout
        return None
    try:
        return subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None

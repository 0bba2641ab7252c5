"""The processes of a run: how they connect through `jax.distributed`, and how they agree on one decision."""

import importlib.util
import json
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from hasnn_jax.common import console
from hasnn_jax.common.errors import InputError, first_line

ANSWER_BYTES = 2**14
GOOGLE_PCI_VENDOR = "0x1ae0"
LOST_AFTER_SECONDS = 60  # after so long without a heartbeat a process counts as lost, and JAX ends the others


def start(
    coordinator: str | None = None,
    count: int | None = None,
    index: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Connects this process with the others of its run, if there are any. Call it before anything else of JAX.

    Does nothing where neither the arguments nor the environment name other processes.

    Args:
      coordinator: host:port of process 0, for processes started by hand; needs the next two.
      count: number of processes.
      index: of this process, from 0.
      environment: in which SLURM, Open MPI and TPU pods are recognised.

    Raises:
      InputError: some of the three are missing or out of range, or the others could not be reached.
    """
    given = {"--coordinator": coordinator, "--process_count": count, "--process_index": index}
    if any(value is not None for value in given.values()):
        missing = [name for name, value in given.items() if value is None]
        if missing:
            raise InputError(f"{', '.join(missing)}: missing; {', '.join(given)} have to be given together")
        _require_valid(coordinator, count, index)
        _join(f"flags: process {index} of {count}", coordinator, count, index)
    elif launcher := _launcher(environment):
        _join(launcher)


def _require_valid(coordinator: Any, count: Any, index: Any) -> None:
    if not re.fullmatch(r".+:\d+", coordinator):
        raise InputError(f"--coordinator: expected HOST:PORT of process 0, got {coordinator!r}")
    if count < 1 or not 0 <= index < count:
        raise InputError(f"--process_index: expected 0 to {count - 1} for {count} processes, got {index}")


def _launcher(environment: Mapping[str, str]) -> str | None:
    """The launcher that started this process together with others; None if there is none."""
    if "SLURM_STEP_NODELIST" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1:
        return f"SLURM job {environment.get('SLURM_JOB_ID')}: {environment['SLURM_NTASKS']} tasks"
    if int(environment.get("OMPI_COMM_WORLD_SIZE", "1")) > 1:
        if "OMPI_MCA_orte_hnp_uri" not in environment:
            raise InputError(
                "Open MPI 5 does not say where process 0 is: give --coordinator=HOST:PORT "
                "--process_count=$OMPI_COMM_WORLD_SIZE --process_index=$OMPI_COMM_WORLD_RANK"
            )
        return f"Open MPI: {environment['OMPI_COMM_WORLD_SIZE']} processes"
    if _on_tpu_host() and environment.get("JAX_PLATFORMS", "tpu").startswith("tpu"):
        return "Cloud TPU"
    return None


def _on_tpu_host() -> bool:
    """Whether this machine has libtpu and a TPU: a PCI device of Google's, which is how JAX finds one, too."""
    if importlib.util.find_spec("libtpu") is None:
        return False
    # Google's virtual network cards have PCI class 0x02....
    return any(
        vendor.read_text().strip() == GOOGLE_PCI_VENDOR and not (vendor.parent / "class").read_text().startswith("0x02")
        for vendor in pathlib.Path("/sys/bus/pci/devices").glob("*/vendor")
    )


def _join(launcher: str, coordinator: str | None = None, count: int | None = None, index: int | None = None) -> None:
    try:
        jax.distributed.initialize(
            coordinator,
            count,
            index,
            heartbeat_timeout_seconds=LOST_AFTER_SECONDS,
            shutdown_timeout_seconds=LOST_AFTER_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{launcher}, but they could not be connected ({first_line(error)})") from None
    console.say(
        f"processes {launcher}; this is {jax.process_index()} of {jax.process_count()}, "
        f"with {jax.local_device_count()} of {jax.device_count()} devices"
    )


def is_main() -> bool:
    """Whether this is the process that logs and writes for all."""
    return jax.process_index() == 0


def say(text: str) -> None:
    """Prints a line on stderr, in one of the processes."""
    if is_main():
        console.say(text)


def on_main(act: Callable[[], Any]) -> Any:
    """Runs `act` in process 0 and returns its result in all processes; an InputError is raised in all, too.

    Args:
      act: returns a value that JSON can hold, up to 16 KiB long.
    """
    if jax.process_count() == 1:
        return act()
    answer: dict[str, Any] = {}
    if is_main():
        try:
            answer = {"value": act()}
        except InputError as error:
            answer = {"error": str(error)[: ANSWER_BYTES // 8]}
    text = json.dumps(answer).encode()
    buffer = np.frombuffer(text.ljust(ANSWER_BYTES), np.uint8)
    answer = json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(buffer))))
    if "error" in answer:
        raise InputError(answer["error"])
    return answer["value"]


def to_host(tree: Any) -> Any:
    """The arrays of a tree, whole, as NumPy's; all processes that share them call it together."""

    def whole(leaf: Any) -> np.ndarray:
        if leaf.is_fully_addressable or leaf.is_fully_replicated:
            return np.asarray(leaf)
        return multihost_utils.process_allgather(leaf, tiled=True)

    return jax.tree.map(whole, tree)


def first_text(text: str | None) -> str | None:
    """The text of the first process that has one, in all processes; None if no process has one."""
    if jax.process_count() == 1:
        return text
    encoded = (text or "").encode()[: ANSWER_BYTES // 8].ljust(ANSWER_BYTES // 8)
    texts = multihost_utils.process_allgather(np.frombuffer(encoded, np.uint8))
    decoded = [bytes(row).decode(errors="replace").strip() for row in texts]
    return next(filter(None, decoded), None)


def processes_where(condition: bool) -> list[int]:
    """The indices of the processes in which a condition holds; the same list in all processes."""
    if jax.process_count() == 1:
        return [0] if condition else []
    return np.flatnonzero(multihost_utils.process_allgather(np.array(condition))).tolist()

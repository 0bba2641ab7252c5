"""The processes that train together: how they find one another, and how they come to one decision.

JAX's own runtime does the work; what is here says from what it starts, and lets one process speak for all.
"""

import importlib.util
import json
import os
import pathlib
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from hasnn_jax.errors import InputError

ANSWER_BYTES = 2**14
GOOGLE_PCI_VENDOR = "0x1ae0"
LOST_AFTER_SECONDS = 60  # without a sign of life, a process counts as lost and the others end


def start(
    coordinator: str | None = None,
    count: int | None = None,
    index: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Joins this process to the others of its run, if there are others. To be called before JAX does anything else.

    Where neither the arguments nor the environment name other processes, nothing happens.

    Args:
      coordinator: host:port of process 0, for processes started by hand; the next two go with it.
      count: how many processes there are.
      index: which one this is, from 0.
      environment: where SLURM, Open MPI and TPU pods leave their marks.

    Raises:
      InputError: some of the three are missing or out of range, or the others could not be reached.
    """
    given = {"--coordinator": coordinator, "--process_count": count, "--process_index": index}
    if any(value is not None for value in given.values()):
        missing = [name for name, value in given.items() if value is None]
        if missing:
            raise InputError(f"{', '.join(missing)}: missing; {', '.join(given)} go together")
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
    """What started this process together with others; None if nothing did."""
    if "SLURM_STEP_NODELIST" in environment and int(environment.get("SLURM_NTASKS", "1")) > 1:
        return f"SLURM job {environment.get('SLURM_JOB_ID')}: {environment['SLURM_NTASKS']} tasks"
    if int(environment.get("OMPI_COMM_WORLD_SIZE", "1")) > 1:
        if "OMPI_MCA_orte_hnp_uri" not in environment:
            raise InputError(
                "Open MPI 5 does not say where process 0 is: name it by --coordinator=HOST:PORT "
                "--process_count=$OMPI_COMM_WORLD_SIZE --process_index=$OMPI_COMM_WORLD_RANK"
            )
        return f"Open MPI: {environment['OMPI_COMM_WORLD_SIZE']} processes"
    if _on_tpu_host() and environment.get("JAX_PLATFORMS", "tpu").startswith("tpu"):
        return "Cloud TPU"
    return None


def _on_tpu_host() -> bool:
    """Whether this machine has a TPU and its library; a device of Google's on the PCI bus, as JAX looks for one."""
    if importlib.util.find_spec("libtpu") is None:
        return False
    # virtual network cards of the same vendor are of class 0x02....
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
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{launcher}, but they could not be joined ({reason})") from None
    print(
        f"processes {launcher}; this is {jax.process_index()} of {jax.process_count()}, "
        f"with {jax.local_device_count()} of {jax.device_count()} devices",
        file=sys.stderr,
        flush=True,
    )


def is_main() -> bool:
    """Whether this process writes the logs."""
    return jax.process_index() == 0


def on_main(act: Callable[[], Any]) -> Any:
    """What `act` returns on process 0, everywhere; the others do not run it, and wait. An InputError is raised by all.

    Args:
      act: returns something that JSON can hold, up to 16 KiB of it.
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


def first_told(text: str | None) -> str | None:
    """The first of the processes' texts, in all of them; None if none has one."""
    if jax.process_count() == 1:
        return text
    encoded = (text or "").encode()[: ANSWER_BYTES // 8].ljust(ANSWER_BYTES // 8)
    texts = multihost_utils.process_allgather(np.frombuffer(encoded, np.uint8))
    told = [bytes(row).decode(errors="replace").strip() for row in texts]
    return next(filter(None, told), None)


def wherever(condition: bool) -> list[int]:
    """The indices of the processes in which a condition holds, in all of them."""
    if jax.process_count() == 1:
        return [0] if condition else []
    return np.flatnonzero(multihost_utils.process_allgather(np.array(condition))).tolist()

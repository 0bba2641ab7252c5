"""What one training step adds to the memory of its process, measured in a fresh process, in the same way for each side.

On a CPU it is the growth of the peak of the resident set during the second step. The peak is Linux's VmHWM and not
`ru_maxrss`, because that one begins at the resident set of the process that started this one. Before the step, memory
that was freed but kept is given back, and the peak is set to the present size: what compiling took then hides nothing.
On a GPU it is the allocator's own peak over the whole life of the process, so with what compiling tried out.
"""

import ctypes
import dataclasses
import gc
import json
import pathlib
import re
import subprocess
import sys
from typing import Any

from train_step_cases import Case, from_record

from hasnn_jax.common.errors import first_line

RESET = pathlib.Path("/proc/self/clear_refs")  # see man proc
TIME_LIMIT = 300  # seconds; torch.compile can take hours for the unrolled time steps


def measure_memory(case: Case, side: str, device: str) -> dict[str, Any]:
    """Bytes that a side's step needs, from a process of its own.

    Args:
      case: what is trained.
      side: "port", or one of `train_step_cases.TWINS`.
      device: "cpu" or "cuda".

    Returns:
      {"before", "growth"}: the resident set before the step, and its growth during it; on a GPU {"peak"}; {} where
      the system does not tell; {"failed": why} where the step does not run.
    """
    command = [sys.executable, __file__, json.dumps([dataclasses.asdict(case), side, device])]
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return {"failed": f"no two steps within {TIME_LIMIT} s, compilation included"}
    if process.returncode:
        lines = process.stderr.strip().splitlines() or [f"exit status {process.returncode}"]
        return {"failed": first_line(RuntimeError(lines[-1]))}
    return json.loads(process.stdout.splitlines()[-1])


def main() -> None:
    """Measures one side, in this process."""
    record, side, device = json.loads(sys.argv[1])
    print(json.dumps(_measure(from_record(record), side, device)))


def _measure(case: Case, side: str, device: str) -> dict[str, int]:
    if side == "port":
        from port_side import PortSide

        train = PortSide(case).train
    else:
        from torch_side import TorchSide

        train = TorchSide(case, device, side).train
    train(1)
    if device == "cuda":
        train(1)
        return {"peak": _allocated_peak(side)}
    if not RESET.exists():
        return {}
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    RESET.write_text("5")  # the peak becomes the present size
    before = _status("VmHWM")
    train(1)
    return {"before": before, "growth": _status("VmHWM") - before}


def _allocated_peak(side: str) -> int:
    if side == "port":
        import jax

        return jax.devices()[0].memory_stats()["peak_bytes_in_use"]
    import torch

    return torch.cuda.max_memory_allocated()


def _status(name: str) -> int:
    """A size of this process in bytes, as Linux counts it."""
    return 1024 * int(re.search(rf"^{name}:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text(), re.M)[1])


if __name__ == "__main__":
    main()

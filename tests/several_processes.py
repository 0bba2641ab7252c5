"""Programs started as several processes that train together, each with virtual devices of the CPU."""

import os
import pathlib
import socket
import subprocess
import sys

import quick_compilation

TESTS = pathlib.Path(__file__).parent
FLAGS = ("--coordinator={}", "--process_count={}", "--process_index={}")


def start(arguments, *, devices, count, flags=FLAGS, **popen):
    """Starts Python with the arguments, `count` times; `flags` name where process 0 is, how many there are, and which.

    A list of `subprocess.Popen`, which takes `popen`.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": quick_compilation.with_devices(devices),
        "PYTHONPATH": f"{TESTS.parent}:{TESTS}",
    }
    started = []
    for index in range(count):
        together = zip(flags, (f"127.0.0.1:{port}", count, index), strict=True) if count > 1 else ()
        command = [sys.executable, *map(str, arguments), *(flag.format(value) for flag, value in together)]
        started.append(subprocess.Popen(command, cwd=TESTS.parent, env=environment, **popen))
    return started


def run(arguments, **how):
    """Starts them, waits for a good end of all, and returns what process 0 said."""
    processes = start(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how)
    said = [process.communicate(timeout=900)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said[0][-3000:]
    return said[0]

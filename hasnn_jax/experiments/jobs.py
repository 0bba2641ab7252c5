"""Processes on one machine's CPU that share an experiment's runs, each with cores of its own.

Much of a short run is Python and compilation, which leave cores idle. The processes share the workdir as `--part`'s do:
each takes what no other is training.
"""

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Sequence

import jax

from hasnn_jax.common.console import say
from hasnn_jax.common.errors import InputError


class Jobs:
    """The processes of one command, of which the one that makes this is the first.

    While this is used as a context, that process keeps to its share of the cores. At the end the others are asked to
    save and stop, if they have not ended. They belong to no terminal, so that Ctrl-C reaches them through the first
    alone; if that is killed, they finish what there is to train.

    Args:
      count: of processes, this one included.

    Raises:
      InputError: there are fewer cores than that.
    """

    def __init__(self, count: int):
        cores = available_cores()
        if not 1 <= count <= len(cores):
            raise InputError(f"--jobs: expected 1 to {len(cores)}, a process for each core; got {count}")
        self._all = cores
        self._shares = [cores[i::count] for i in range(count)]
        self._others: list[subprocess.Popen] = []

    def __enter__(self) -> "Jobs":
        _keep_to(0, self._shares[0])  # before JAX starts its threads
        return self

    def __exit__(self, *_: object) -> None:
        for other in self._others:
            if other.poll() is None:
                other.send_signal(signal.SIGINT)
        self.wait()
        _keep_to(0, self._all)

    def start(self, arguments: Sequence[str], logs: pathlib.Path) -> None:
        """Starts the other processes.

        Args:
          arguments: of `hasnn`, with which they do their share.
          logs: the folder that receives what they print, in job_2.log and so on.

        Raises:
          InputError: JAX computes on another device than a CPU.
        """
        if len(self._shares) > 1 and jax.default_backend() != "cpu":
            raise InputError(
                "--jobs: divides a CPU's cores, and JAX computes on another device here; start a process for each "
                "device, such as CUDA_VISIBLE_DEVICES=1 hasnn experiment NAME, and they share the runs"
            )
        for number, cores in enumerate(self._shares[1:], start=2):
            file = logs / f"job_{number}.log"
            with open(file, "ab") as log:
                command = [sys.executable, "-m", "hasnn_jax", *arguments]
                other = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            _keep_to(other.pid, cores)
            self._others.append(other)
            say(f"job {number} of {len(self._shares)} prints to {file}")

    def wait(self) -> bool:
        """Waits for the others; whether there was one."""
        running = [other for other in self._others if other.poll() is None]
        if running:
            say(f"waiting for {'another job' if len(running) == 1 else f'{len(running)} other jobs'}")
        for other in running:
            other.wait()
        return bool(self._others)


def available_cores() -> list[int]:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _keep_to(process: int, cores: Sequence[int]) -> None:
    """Where the operating system cannot do that, processes share all cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, cores)

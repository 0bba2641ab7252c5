"""Ctrl-C and SIGTERM as a flag that the training loop checks between steps."""

import os
import signal
import threading
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils


class StopRequest:
    """Catches SIGINT and SIGTERM while used as a context manager; a second signal has its default effect.

    Where several processes train together, JAX's runtime catches SIGTERM and makes all of them stop after the same
    step. A first SIGINT is sent on to it as SIGTERM.
    """

    def __init__(self) -> None:
        self._here = False
        self._asked = 0
        self._alone = jax.process_count() == 1
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM) if self._alone else (signal.SIGINT,):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def requested(self) -> bool:
        """Whether to stop now. All processes must call this equally often; they get the same answer."""
        self._asked += 1
        if not self._here and not self._alone:
            self._here = multihost_utils.reached_preemption_sync_point(self._asked)
        return self._here

    @property
    def received(self) -> bool:
        """Whether a signal has come to this process."""
        return self._here

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        if self._alone:
            self._here = True
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

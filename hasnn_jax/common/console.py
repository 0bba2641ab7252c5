"""What is said on stderr while work goes on: lines, durations, and a sign of life."""

import sys
import threading
import time
from collections.abc import Callable

SECONDS_BETWEEN_LINES = 30

Say = Callable[[str], object]


def say(text: str) -> None:
    """Prints a line on stderr, above the progress bar where there is one; stdout is for results."""
    tqdm = sys.modules.get("tqdm")
    if tqdm is None:
        print(text, file=sys.stderr, flush=True)
    else:
        tqdm.tqdm.write(text, file=sys.stderr)


def format_duration(seconds: float) -> str:
    """123.4 -> "2m03s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{seconds:02d}s" if minutes else f"{seconds}s"


class Waiting:
    """Shows how long something has taken so far: a line that changes on a terminal, else a new line every 30 s.

    Use as a context manager around work that reports no progress of its own.
    """

    def __init__(self, what: str, every: float | None = None):
        self._what, self._began, self._over = what, time.monotonic(), threading.Event()
        self._on_terminal = sys.stderr.isatty()
        self._every = every or (1 if self._on_terminal else SECONDS_BETWEEN_LINES)
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> "Waiting":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _show(self) -> None:
        around = ("\r\x1b[K", "") if self._on_terminal else ("", "\n")
        while not self._over.wait(self._every):
            passed = format_duration(time.monotonic() - self._began)
            print(f"{self._what}: {passed}".join(around), end="", file=sys.stderr, flush=True)

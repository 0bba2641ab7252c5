"""What is said on stderr until the answer is there: lines, and a sign of life."""

import sys
import threading
import time
from collections.abc import Callable

from hasnn_jax.training.progress import format_duration

SECONDS_BETWEEN_LINES = 30

Say = Callable[[str], None]


def tell(text: str) -> None:
    """A line on stderr: the answer alone goes to stdout."""
    print(text, file=sys.stderr, flush=True)


class Alive:
    """Says how long something takes while it lasts: a line that changes on a terminal, else a line every 30 s."""

    def __init__(self, what: str, every: float | None = None):
        self._what, self._began, self._over = what, time.monotonic(), threading.Event()
        self._on_terminal = sys.stderr.isatty()
        self._every = every or (1 if self._on_terminal else SECONDS_BETWEEN_LINES)
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> "Alive":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _tell(self) -> None:
        around = ("\r\x1b[K", "") if self._on_terminal else ("", "\n")
        while not self._over.wait(self._every):
            passed = format_duration(time.monotonic() - self._began)
            print(f"{self._what}: {passed}".join(around), end="", file=sys.stderr, flush=True)

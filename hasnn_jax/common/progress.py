"""Progress of long work on stderr: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from typing import Any

from hasnn_jax.common.console import format_duration, say

SECONDS_BETWEEN_LINES = 5


class StepProgress:
    """Progress over a known number of steps. Use as a context manager.

    On a terminal it is a bar with images/s and time left; elsewhere `report` prints a line. Silent if not `shown`.

    Attributes:
      total: steps in the whole run.
      start: steps done before.
      batch_size: images per step.
      shown: whether this process shows anything; of several processes one does.
    """

    def __init__(self, total: int, start: int, batch_size: int, *, shown: bool = True):
        self._shown = shown
        self._total, self._start, self._done, self._batch_size = total, start, start, batch_size
        self._began = self._first = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> "StepProgress":
        if self._shown and sys.stderr.isatty():
            self._bar = _bar(
                total=self._total * self._batch_size,
                initial=self._start * self._batch_size,
                unit=" images",
                bar_format="{percentage:3.0f}% |{bar}| {rate_fmt}, {remaining} left{postfix}",
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._began

    @property
    def images_per_second(self) -> float:
        """Mean speed since the start, evaluation and saving included."""
        return (self._done - self._start) * self._batch_size / max(self.seconds, 1e-9)

    def advance(self) -> None:
        """Counts one more step."""
        self._done += 1
        if self._done == self._start + 1:
            self._first = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._batch_size)

    def report(self, metrics: str, news: str = "") -> None:
        """Shows the latest metrics, already formatted.

        Args:
          metrics: all of them; beside the bar, or on a line with the speed and the time left.
          news: those that are new since a line about the same step; the line then holds nothing else.
        """
        if self._bar is not None:
            self._bar.set_postfix_str(metrics)
            return
        if news:
            self.say(f"step {self._done}/{self._total}  {news}")
            return
        speed = self._speed_without_compilation()
        left = (self._total - self._done) * self._batch_size / max(speed, 1e-9)
        self.say(f"step {self._done}/{self._total}  {metrics}  {speed:.0f} images/s, {format_duration(left)} left")

    def say(self, text: str) -> None:
        """Prints a line that stays, above the bar where there is one."""
        if self._shown:
            say(text)

    def _speed_without_compilation(self) -> float:
        """Images/s since the end of the first step, which waits for the compiler."""
        steps = self._done - self._start - 1
        if steps < 1:
            return self.images_per_second
        return steps * self._batch_size / max(time.monotonic() - self._first, 1e-9)


class StageProgress:
    """Progress of work in stages, each with its own total: a bar per stage, or a line every few seconds.

    Use as a context manager; call it with (stage, done, total).
    """

    def __init__(self) -> None:
        self.on_terminal = sys.stderr.isatty()
        self._stage, self._told = "", -float("inf")
        self._bar: Any = None

    def __enter__(self) -> "StageProgress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Shows that `done` of `total` are done; a new stage begins where its name changes."""
        begins, self._stage = stage != self._stage, stage
        if self.on_terminal:
            if begins:
                self.__exit__()
                self._bar = _bar(desc=stage, total=total)
            self._bar.update(done - self._bar.n)
        elif begins or done == total or time.monotonic() - self._told >= SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            say(f"{stage}: {done:,} of {total:,}")


def _bar(**options: Any) -> Any:
    from tqdm import tqdm

    return tqdm(unit_scale=True, dynamic_ncols=True, **options)

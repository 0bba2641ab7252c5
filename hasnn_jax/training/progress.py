"""What a person sees while a run goes on: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from typing import Any


class Progress:
    """Progress over a number of steps. Use as a context manager.

    On a terminal it is a bar with images/s and time left; elsewhere `report` prints a line. Silent if not `shown`.

    Attributes:
      total: steps in the whole run.
      start: steps done before.
      batch_size: images a step.
      shown: whether this is the process that speaks.
    """

    def __init__(self, total: int, start: int, batch_size: int, *, shown: bool = True):
        self._shown = shown
        self._total, self._start, self._done, self._batch_size = total, start, start, batch_size
        self._began = self._first = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> "Progress":
        if self._shown and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=self._total * self._batch_size,
                initial=self._start * self._batch_size,
                unit=" images",
                unit_scale=True,
                dynamic_ncols=True,
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
        """One more step is done."""
        self._done += 1
        if self._done == self._start + 1:
            self._first = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._batch_size)

    def report(self, metrics: str, news: str = "") -> None:
        """Shows the latest metrics, already formatted; on a line, that of a step just shown, only the news in them."""
        if self._bar is not None:
            self._bar.set_postfix_str(metrics)
            return
        if news:
            self.say(f"step {self._done}/{self._total}  {news}")
            return
        pace = self._pace()
        left = (self._total - self._done) * self._batch_size / max(pace, 1e-9)
        self.say(f"step {self._done}/{self._total}  {metrics}  {pace:.0f} images/s, {format_duration(left)} left")

    def _pace(self) -> float:
        """Images/s since the first step's end: that step waited for the compiler."""
        steps = self._done - self._start - 1
        if steps < 1:
            return self.images_per_second
        return steps * self._batch_size / max(time.monotonic() - self._first, 1e-9)

    def say(self, text: str) -> None:
        """Prints a line that stays, above the bar where there is one."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif self._shown:
            print(text, file=sys.stderr, flush=True)


def format_duration(seconds: float) -> str:
    """123.4 -> "2m03s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{seconds:02d}s" if minutes else f"{seconds}s"

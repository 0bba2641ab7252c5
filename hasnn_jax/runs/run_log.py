"""A run's log: records on disk and lines on the screen, both from process 0 only."""

import contextlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from hasnn_jax.common.progress import StepProgress
from hasnn_jax.runs.metrics import MetricWriter
from hasnn_jax.training import processes


class RunLog:
    """Records metrics and shows them. Use as a context manager.

    Attributes:
      workdir: the run's folder.
      total: steps in the whole run.
      start: steps done before; see `MetricWriter.from_step`.
      batch_size: images per step, over all processes.
      loggers: names of those that get the metrics, besides `metrics.jsonl`.
      settings: the config that they record, dotted keys to plain values.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        total: int,
        start: int,
        batch_size: int,
        loggers: Sequence[str],
        settings: Mapping[str, Any],
    ):
        self.workdir = workdir
        self._open = contextlib.ExitStack()
        self._writer = MetricWriter(workdir, start, loggers, settings) if processes.is_main() else None
        if self._writer is not None:
            self._open.enter_context(self._writer)
        self.progress = self._open.enter_context(StepProgress(total, start, batch_size, shown=processes.is_main()))
        self._train = self._test = ""  # the latest metrics, formatted
        self._replaced = 0

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def train(self, step: int, epoch: float, metrics: dict[str, float]) -> None:
        """Records means over the steps since the last log point; "replaced" counts unreadable images."""
        self._replaced += int(metrics.get("replaced", 0))
        self._train = f"loss {metrics['loss']:.3f}, accuracy {metrics['accuracy']:.1%}"
        self._train += f", {self._replaced:,} unreadable images replaced" if self._replaced else ""
        self._write(step, epoch, "train", metrics)
        self.progress.report(self._latest())

    def test(self, step: int, epoch: float, metrics: dict[str, float]) -> None:
        """Records the metrics of an evaluation."""
        self._test = f"test {metrics['accuracy']:.2%}"
        self._test += f" ({metrics['unreadable']:,} unreadable images left out)" if "unreadable" in metrics else ""
        self._write(step, epoch, "test", metrics)
        self.progress.report(self._latest(), news=self._test)

    def summarise(self, values: Mapping[str, float]) -> None:
        """Passes the final values of a complete run to the loggers."""
        if self._writer is not None:
            self._writer.summarise(values)

    def say(self, text: str) -> None:
        """A line that stays on the screen."""
        self.progress.say(text)

    def _write(self, step: int, epoch: float, split: str, metrics: dict[str, float]) -> None:
        if self._writer is not None:
            self._writer.write(step, epoch, split, metrics)

    def _latest(self) -> str:
        return ", ".join(filter(None, (self._train, self._test)))

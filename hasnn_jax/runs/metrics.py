"""A run's metrics: one JSON object per line in `metrics.jsonl`, and the same to the configured loggers.

A line has "step", "epoch", "split" ("train" or "test") and the metrics of that split. Times and speeds are left out, so
that the file depends on the config only.
"""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.files import replacing
from hasnn_jax.runs.loggers import Loggers
from hasnn_jax.runs.loggers.base import Record

METRICS_FILE = "metrics.jsonl"


class MetricWriter:
    """Appends to a run's metrics. Use as a context manager.

    Attributes:
      workdir: the run's folder.
      from_step: the step that the run resumes from; records of later steps are dropped, for they will be written again.
      loggers: names of those that get every record as well; see `hasnn_jax.runs.loggers`.
      settings: the config that they record, dotted keys to plain values.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        from_step: int,
        loggers: Sequence[str] = ("tensorboard",),
        settings: Mapping[str, Any] | None = None,
    ):
        path = workdir / METRICS_FILE
        kept = [record for record in read_metrics(workdir) if record["step"] <= from_step]
        with replacing(path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept))
        self._lines = path.open("a")
        self._loggers = Loggers(loggers, workdir, settings or {}, from_step, kept)

    def __enter__(self) -> "MetricWriter":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._lines.close()
        self._loggers.close(failed=error is not None)

    def write(self, step: int, epoch: float, split: str, metrics: Mapping[str, float]) -> None:
        """Adds one record. When this returns, the record would survive a power cut.

        Raises:
          InputError: it cannot be written.
        """
        record = {"step": step, "epoch": epoch, "split": split, **metrics}
        try:
            self._lines.write(json.dumps(record) + "\n")
            self._lines.flush()
            os.fsync(self._lines.fileno())
        except OSError as error:
            raise InputError(
                f"{self._lines.name}: cannot be written ({error.strerror}); make room, and the same command resumes "
                "from the last checkpoint"
            ) from None
        self._loggers.log(record)

    def summarise(self, values: Mapping[str, float]) -> None:
        """Passes the final values of a complete run to the loggers; they are in no record."""
        self._loggers.summarise(values)


def read_metrics(workdir: pathlib.Path) -> list[Record]:
    """All records of a run, oldest first; a last line cut short by a kill is left out."""
    path = workdir / METRICS_FILE
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]

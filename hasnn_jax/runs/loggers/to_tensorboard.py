"""Metrics as TensorBoard events."""

import pathlib
from collections.abc import Mapping
from typing import Any, ClassVar

from hasnn_jax.runs.loggers.base import Outcome, Record, metrics_of


class TensorBoardLogger:
    """Writes events to `WORKDIR/tensorboard`; see `MetricLogger`.

    TensorBoard drops the points after the step that the run resumes from, and shows those that are written anew.
    """

    package: ClassVar[str] = "tensorboardX"

    def __init__(self, workdir: pathlib.Path, settings: Mapping[str, Any], from_step: int):
        from tensorboardX import SummaryWriter

        folder = workdir / "tensorboard"
        self._known_up_to = from_step if folder.exists() else -1
        self._events = SummaryWriter(str(folder), purge_step=from_step + 1)

    def lacks(self, number: int, record: Record) -> bool:
        return record["step"] > self._known_up_to

    def log(self, number: int, record: Record) -> None:
        for name, value in metrics_of(record).items():
            self._events.add_scalar(name, value, record["step"])

    def summarise(self, values: Mapping[str, float]) -> None:
        """Does nothing: the final values are the last points of the curves."""

    def close(self, outcome: Outcome) -> None:
        self._events.close()

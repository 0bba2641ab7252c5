"""What a logger is, and the id by which a run's folder finds its run at a service again."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol

from hasnn_jax.common.files import replacing

Record = dict[str, Any]  # a line of metrics.jsonl: "step", "epoch", "split" ("train" or "test"), and metrics by name
Outcome = Literal["complete", "stopped", "failed"]
NO_METRICS = ("step", "epoch", "split")


class MetricLogger(Protocol):
    """Receives a run's records in order. After any exception that it raises, it is left out.

    Attributes:
      package: that has to be installed.
      workdir: the run's folder.
      settings: the config, dotted keys to plain values.
      from_step: the step that the run resumes from.
    """

    package: ClassVar[str]

    def __init__(self, workdir: pathlib.Path, settings: Mapping[str, Any], from_step: int): ...

    def lacks(self, number: int, record: Record) -> bool:
        """Whether a record, given with its line number from 0, is still to be logged."""

    def log(self, number: int, record: Record) -> None:
        """Logs the metrics of one record."""

    def summarise(self, values: Mapping[str, float]) -> None:
        """Logs the final values of a complete run: "step", "test_accuracy" (0..1) and others."""

    def close(self, outcome: Outcome) -> None:
        """Waits until all is written; how the run ended is recorded where there is a place for it."""


def metrics_of(record: Record) -> dict[str, float]:
    """The metrics of a record, by names such as "train/loss"."""
    return {f"{record['split']}/{name}": value for name, value in record.items() if name not in NO_METRICS}


def stored_id(path: pathlib.Path, create: Callable[[], str]) -> tuple[str, bool]:
    """The id in a file, of the run that continues there.

    Args:
      path: of the file, which is written if it does not exist.
      create: gives the id of a new run.

    Returns:
      (the id, whether it is new).
    """
    if path.exists():
        return path.read_text().strip(), False
    run_id = create()
    with replacing(path) as temporary:
        temporary.write_text(run_id + "\n")
    return run_id, True

"""Where a run's metrics go besides `metrics.jsonl`: TensorBoard, Weights & Biases, MLflow.

`config.loggers` names them, and only process 0 opens them. `metrics.jsonl` is always written: resuming depends on it.

A logger that fails, say because the network is down, is left out from then on: one line says so, training goes on, and
`metrics.jsonl` has every record. When the run is resumed, W&B and MLflow get the records that they lack. The libraries
retry by themselves first, so a dead server can hold up a run once: MLflow for minutes (MLFLOW_HTTP_REQUEST_MAX_RETRIES
and MLFLOW_HTTP_REQUEST_TIMEOUT shorten it), W&B for 90 s at the start, and at the end while it has records to send.

What a killed run logged after its last checkpoint is computed again when it is resumed, with the same result to the
bit. TensorBoard is told to drop the old points. W&B and MLflow cannot take points back: they keep what they have, and
only what they lack is sent. So no point is there twice. If settings were changed that may change, these two have, from
the checkpoint to where the run was killed, what the old settings gave; `metrics.jsonl` and TensorBoard have the new.

A run that is killed after its last record and before its summary has no summary there, nor the mark that it is over.
"""

import contextlib
import importlib.util
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hasnn_jax.common.console import say
from hasnn_jax.common.errors import InputError, first_line
from hasnn_jax.common.lookup import look_up
from hasnn_jax.runs.loggers.base import MetricLogger, Outcome, Record
from hasnn_jax.runs.loggers.to_mlflow import MlflowLogger
from hasnn_jax.runs.loggers.to_tensorboard import TensorBoardLogger
from hasnn_jax.runs.loggers.to_wandb import WandbLogger

LOGGERS: dict[str, type[MetricLogger]] = {
    "tensorboard": TensorBoardLogger,
    "wandb": WandbLogger,
    "mlflow": MlflowLogger,
}


def require_installed(names: Sequence[str]) -> None:
    """Raises an InputError for a name that is no logger's, or whose package is not installed. Imports nothing."""
    for name in names:
        package = look_up("logger", name, LOGGERS).package
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:  # without origin: a folder of that name, such as W&B itself writes
            raise InputError(
                f"config.loggers: {name!r} needs the package {package}; pip install 'hasnn_jax[{name}]', or leave "
                f"{name!r} out"
            )


class Loggers:
    """Passes records on to all configured loggers.

    Attributes:
      names: of the loggers; each is opened once.
      workdir: the run's folder.
      settings: the config, dotted keys to plain values.
      from_step: the step that the run resumes from.
      kept: the records up to that step. A logger that lacks some, because it is new or has failed before, gets them.
    """

    def __init__(
        self,
        names: Sequence[str],
        workdir: pathlib.Path,
        settings: Mapping[str, Any],
        from_step: int,
        kept: Sequence[Record],
    ):
        self._open: dict[str, MetricLogger] = {}
        self._records = 0
        self._complete = False
        for name in dict.fromkeys(names):
            with self._left_out_if_it_fails(name):
                self._open[name] = LOGGERS[name](workdir, settings, from_step)
        for record in kept:
            self.log(record)

    def log(self, record: Record) -> None:
        """Logs one record, the next line of `metrics.jsonl`, wherever it is not logged yet."""
        number = self._records
        self._records += 1
        for name, logger in list(self._open.items()):
            with self._left_out_if_it_fails(name):
                if logger.lacks(number, record):
                    logger.log(number, record)

    def summarise(self, values: Mapping[str, float]) -> None:
        """Logs the final values of a complete run; see `MetricLogger.summarise`."""
        self._complete = True
        for name, logger in list(self._open.items()):
            with self._left_out_if_it_fails(name):
                logger.summarise(values)

    def close(self, *, failed: bool) -> None:
        """Closes all; `failed` where an error has ended the run."""
        outcome: Outcome = "failed" if failed else "complete" if self._complete else "stopped"
        for name, logger in list(self._open.items()):
            with self._left_out_if_it_fails(name):
                logger.close(outcome)

    @contextlib.contextmanager
    def _left_out_if_it_fails(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # network, files, accounts: the libraries have no common base for what they raise
            self._open.pop(name, None)  # not closed: that would wait for the network once more
            say(
                f"logger {name}: failed and is left out from now on ({first_line(error)}); training goes on, and "
                "metrics.jsonl has every record"
            )

"""Metrics as a run of MLflow."""

import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from hasnn_jax.runs.loggers.base import Outcome, Record, metrics_of, stored_id

ID_FILE = "mlflow_run_id.txt"
EXPERIMENT = "hasnn_jax"  # where MLFLOW_EXPERIMENT_NAME and MLFLOW_EXPERIMENT_ID name none
PARAMS_AT_ONCE = 100  # MLflow's limit
STATUS = {"complete": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class MlflowLogger:
    """Logs to the MLflow run whose id is in `WORKDIR/mlflow_run_id.txt`, a new one at first; see `MetricLogger`.

    MLflow's own settings hold: MLFLOW_TRACKING_URI or `mlflow.set_tracking_uri`, and MLFLOW_EXPERIMENT_NAME or
    MLFLOW_EXPERIMENT_ID. Where no tracking URI is set, the run lies in the files of `WORKDIR/mlruns`.

    The config becomes the run's params. MLflow never changes a param, so settings that differ when the run is resumed
    become tags: config.KEY.
    """

    package: ClassVar[str] = "mlflow"

    def __init__(self, workdir: pathlib.Path, settings: Mapping[str, Any], from_step: int):
        import mlflow

        self._entities = mlflow.entities
        self._client = mlflow.MlflowClient(_tracking_uri(mlflow, workdir))
        self._id, is_new = stored_id(
            workdir / ID_FILE,
            lambda: self._client.create_run(self._experiment(), run_name=workdir.name).info.run_id,
        )
        if not is_new:
            self._client.update_run(self._id, status="RUNNING")
        self._record_config({key: str(value) for key, value in settings.items()})
        self._last = {split: self._last_step(split) for split in ("train", "test")}

    def lacks(self, number: int, record: Record) -> bool:
        return record["step"] > self._last[record["split"]]

    def log(self, number: int, record: Record) -> None:
        split, step = record["split"], record["step"]
        # The epoch comes last: where a kill leaves a part of a record, `_last_step` does not take it for logged.
        self._log_metrics({**metrics_of(record), f"{split}/epoch": record["epoch"]}, step)
        self._last[split] = step

    def summarise(self, values: Mapping[str, float]) -> None:
        self._log_metrics({f"summary/{name}": value for name, value in values.items()}, int(values["step"]))

    def close(self, outcome: Outcome) -> None:
        self._client.set_terminated(self._id, STATUS[outcome])

    def _experiment(self) -> str:
        """The id of the experiment that a new run belongs to, created if there is none of its name."""
        if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return given
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        return self._client.create_experiment(name) if found is None else found.experiment_id

    def _record_config(self, settings: Mapping[str, str]) -> None:
        recorded = self._client.get_run(self._id).data
        new = [self._entities.Param(key, settings[key]) for key in settings if key not in recorded.params]
        for first in range(0, len(new), PARAMS_AT_ONCE):
            self._client.log_batch(self._id, params=new[first : first + PARAMS_AT_ONCE], synchronous=True)
        for key, value in settings.items():
            tag = f"config.{key}"
            if recorded.tags.get(tag, recorded.params.get(key, value)) != value:
                self._client.set_tag(self._id, tag, value)

    def _last_step(self, split: str) -> int:
        """The last step that MLflow has of a split; -1 if it has none."""
        return max((point.step for point in self._client.get_metric_history(self._id, f"{split}/epoch")), default=-1)

    def _log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        now = time.time_ns() // 1_000_000
        points = [self._entities.Metric(name, value, now, step) for name, value in metrics.items()]
        self._client.log_batch(self._id, metrics=points, synchronous=True)


def _tracking_uri(mlflow: Any, workdir: pathlib.Path) -> str:
    if mlflow.is_tracking_uri_set():
        return mlflow.get_tracking_uri()
    # MLflow 3 asks for this before it writes files. Its other local store, SQLite, needs more than mlflow-skinny, and
    # its locks do not hold on many of the network disks that several hosts share a workdir on.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    return (workdir / "mlruns").as_uri()

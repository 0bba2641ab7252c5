"""The folder of an experiment.

    WORKDIR/experiment.json              what is compared: question, base settings, variants, seeds
    WORKDIR/runs/VARIANT/seed_SEED/      the workdir of a run: config.json, metrics.jsonl, cost.json, checkpoints
    WORKDIR/runs/VARIANT/seed_SEED/run.json    written by the experiment: how the run ended, where and when it ran
    WORKDIR/report.md, report.json, *.png      written from these files alone

A run that was trained there by `hasnn train` has no run.json and is taken as it is.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any, Literal

from hasnn_jax.checkpoints.folders import CONFIG_FILE, read_config
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.files import replacing
from hasnn_jax.runs.measured import COST_FILE
from hasnn_jax.runs.metrics import METRICS_FILE, Record, read_metrics

EXPERIMENT_FILE = "experiment.json"
RUN_FILE = "run.json"
SMALL_FILES = (CONFIG_FILE, METRICS_FILE, RUN_FILE, COST_FILE)  # of a run; the report depends on nothing else

Status = Literal["complete", "diverged", "incomplete"]


@dataclasses.dataclass(frozen=True)
class RunFiles:
    """What a run's small files hold.

    Attributes:
      variant, seed: from the names of its folders.
      config: the resolved config, dotted keys to values.
      metrics: records, oldest first.
      about: of run.json; None if the run was not made by the experiment.
      cost: of cost.json; None if it was not measured.
    """

    variant: str
    seed: int
    config: Mapping[str, Any]
    metrics: list[Record]
    about: Mapping[str, Any] | None
    cost: Mapping[str, Any] | None

    @property
    def tests(self) -> list[Record]:
        """The records of evaluations."""
        return [record for record in self.metrics if record["split"] == "test"]

    @property
    def status(self) -> Status:
        """Whether it is complete: whether it was evaluated after its last epoch."""
        if self.about is not None and self.about.get("status") == "diverged":
            return "diverged"
        tests = self.tests
        return "complete" if tests and tests[-1]["epoch"] >= self.config["epochs"] else "incomplete"


def run_folder(root: pathlib.Path, variant: str, seed: int) -> pathlib.Path:
    """Where a variant's run with a seed lies."""
    return root / "runs" / variant / f"seed_{seed}"


def read_run(folder: pathlib.Path) -> RunFiles | None:
    """The files of a run; None if it has not begun.

    Raises:
      InputError: a file is damaged.
    """
    if not (folder / CONFIG_FILE).is_file():
        return None
    try:
        metrics = read_metrics(folder)
    except ValueError as error:
        raise InputError(f"{folder / METRICS_FILE}: is damaged ({error}); remove the run's folder") from None
    return RunFiles(
        folder.parent.name,
        int(folder.name.removeprefix("seed_")),
        read_config(folder),
        metrics,
        read_json(folder / RUN_FILE),
        read_json(folder / COST_FILE),
    )


def read_runs(root: pathlib.Path) -> list[RunFiles]:
    """All runs that have begun, by variant and seed."""
    folders = (root / "runs").glob("*/seed_*")
    named = (folder for folder in folders if folder.name.removeprefix("seed_").isdecimal())
    found = (read_run(folder) for folder in named)
    return sorted((run for run in found if run is not None), key=lambda run: (run.variant, run.seed))


def read_json(file: pathlib.Path) -> dict[str, Any] | None:
    """The object in a file; None if there is no file.

    Raises:
      InputError: it is damaged.
    """
    if not file.is_file():
        return None
    try:
        value = json.loads(file.read_bytes())
        if not isinstance(value, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: is damaged ({error}); restore it, or choose another --workdir") from None
    return value


def write_json(file: pathlib.Path, value: Mapping[str, Any]) -> None:
    """Writes an object to a file, which appears complete or not at all."""
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")

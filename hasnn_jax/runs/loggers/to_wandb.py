"""Metrics as a run of Weights & Biases."""

import os
import pathlib
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

from hasnn_jax.runs.loggers.base import Outcome, Record, metrics_of, stored_id

ID_FILE = "wandb_run_id.txt"
PROJECT = "hasnn_jax"  # where neither WANDB_PROJECT nor `wandb init` names one


class WandbLogger:
    """Logs to the W&B run whose id is in `WORKDIR/wandb_run_id.txt`, a new one at first; see `MetricLogger`.

    W&B's own settings hold, such as WANDB_MODE, WANDB_ENTITY, and WANDB_RUN_ID for a new run. Its files lie in
    `WORKDIR/wandb`, or in WANDB_DIR. Curves are drawn over "step", the training step.

    W&B's own step is the record's line number. When the run is resumed, the server says how many it has, and gets the
    others: also those of the last seconds before a kill, which W&B loses. Offline there is no server to say so: every
    start leaves a folder `wandb/offline-run-*` with all records so far, of which only the newest is to be uploaded.
    """

    package: ClassVar[str] = "wandb"

    def __init__(self, workdir: pathlib.Path, settings: Mapping[str, Any], from_step: int):
        import wandb

        given = wandb.setup().settings
        # Written before the run exists: after a kill in between, this id is taken for the run that follows.
        run_id, is_new = stored_id(workdir / ID_FILE, lambda: given.run_id or secrets.token_hex(4))
        self._run = wandb.init(
            id=run_id,
            resume="allow",  # the run of this id, or a new one
            reinit="create_new",  # leaves a run alone that the caller may have open
            project=given.project or PROJECT,
            name=(given.run_name or workdir.name) if is_new else None,  # it may have been renamed since
            dir=os.environ.get("WANDB_DIR") or str(workdir),
            config=nested(settings),
            allow_val_change=True,
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def lacks(self, number: int, record: Record) -> bool:
        return not self._run.disabled and number >= self._run.starting_step

    def log(self, number: int, record: Record) -> None:
        row = {"step": record["step"], "epoch": record["epoch"], **metrics_of(record)}
        self._run.log(row, step=number, commit=True)

    def summarise(self, values: Mapping[str, float]) -> None:
        self._run.summary.update({f"summary/{name}": value for name, value in values.items()})

    def close(self, outcome: Outcome) -> None:
        self._run.finish(exit_code=int(outcome == "failed"))


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} -> {"a": {"b": 1}}: W&B wants no dots in its keys."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        *sections, last = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return tree

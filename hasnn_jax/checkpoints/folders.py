"""Where things lie in a run's folder, the workdir, as far as other rooms have to find them.

    WORKDIR/config.json               the resolved config: dotted keys to values
    WORKDIR/checkpoints/STEP/         a checkpoint of Orbax
    WORKDIR/checkpoints/STEP/state/   its arrays
    WORKDIR/checkpoints/STEP/metrics/metrics    test accuracy, where the step was evaluated
    WORKDIR/damaged/STEP/             a damaged checkpoint that was moved out of the way

A folder of converted weights is a checkpoint by itself, outside of a workdir.
"""

import json
import pathlib
from typing import Any

from hasnn_jax.common.errors import InputError

CONFIG_FILE = "config.json"
CHECKPOINTS = "checkpoints"
DAMAGED = "damaged"
STATE = "state"


def saved_steps(checkpoints: pathlib.Path) -> list[int]:
    """The steps of the complete checkpoints in a folder, ascending; empty if the folder does not exist."""
    return sorted(int(folder.name) for folder in checkpoints.glob("*") if folder.name.isdecimal())


def newest_step(checkpoints: pathlib.Path) -> int | None:
    """The step of the newest complete checkpoint in a folder; None if there is none."""
    return max(saved_steps(checkpoints), default=None)


def newest_checkpoint(workdir: pathlib.Path) -> pathlib.Path | None:
    """The folder of a run's newest complete checkpoint; None if there is none."""
    step = newest_step(workdir / CHECKPOINTS)
    return None if step is None else workdir / CHECKPOINTS / str(step)


def workdir_of(checkpoint: pathlib.Path) -> pathlib.Path | None:
    """The workdir that a checkpoint lies in; None for a folder of converted weights."""
    return checkpoint.parent.parent if checkpoint.parent.name == CHECKPOINTS else None


def holds_arrays(checkpoint: pathlib.Path) -> bool:
    """Whether a folder is a checkpoint."""
    return (checkpoint / STATE).is_dir()


def read_accuracy(checkpoint: pathlib.Path) -> float | None:
    """The test accuracy (0..1) saved with a checkpoint; None if the step was not evaluated.

    Raises:
      ValueError, KeyError, TypeError: the file is damaged.
      OSError: it cannot be read.
    """
    file = checkpoint / "metrics" / "metrics"
    return accuracy_of(json.loads(file.read_bytes())) if file.exists() else None


def accuracy_of(metrics: Any) -> float:
    """The accuracy among the metrics that Orbax saves with a checkpoint."""
    return float(metrics["accuracy"])


def read_config(workdir: pathlib.Path) -> dict[str, Any]:
    """The resolved config of a run: dotted keys to values.

    Raises:
      InputError: there is none, or the file is damaged.
    """
    file = workdir / CONFIG_FILE
    try:
        config = json.loads(file.read_bytes())
        if not isinstance(config, dict):
            raise ValueError("not an object")
    except (OSError, ValueError) as error:  # the decoding errors of JSON and of text are ValueErrors
        raise InputError(f"{file}: is not a config ({error}); restore it, or choose another folder") from None
    return config

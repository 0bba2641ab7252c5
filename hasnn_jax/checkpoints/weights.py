"""A model's variables alone, as an Orbax checkpoint that says which model they belong to."""

import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from hasnn_jax.checkpoints import folders
from hasnn_jax.checkpoints.damage import DamagedError, confirmed, read_arrays
from hasnn_jax.checkpoints.fingerprint import fingerprint
from hasnn_jax.checkpoints.fit_weights import COLLECTIONS, Variables
from hasnn_jax.checkpoints.metadata import metadata
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.files import replacing


def save_weights(path: pathlib.Path, variables: Variables, settings: Mapping[str, Any]) -> None:
    """Saves variables in their own dtypes; the folder appears under its name when it is complete.

    Args:
      path: a folder that does not exist yet.
      variables: {"params": ..., "batch_stats": ...} of arrays.
      settings: what the model was created with: "name" and the others as in `config.model`, and "num_classes"; and how
        images are preprocessed: "image_size" and "resize_shorter" as in `config.data`; and "classes", the class names,
        where they are known. All of it is what `load_weights` returns.

    Raises:
      InputError: something exists at that path.
    """
    if path.exists():
        raise InputError(f"{path}: exists already; remove it, or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        ocp.save(temporary, jax.tree.map(np.asarray, dict(variables)), custom_metadata=metadata(**settings))


def load_weights(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Loads variables and settings from a folder of `save_weights`, a run's workdir, or one checkpoint of a run.

    From a workdir it takes the newest checkpoint. From a run that averages its weights it takes the averaged ones, with
    which the run evaluates.

    Returns:
      ({"params": ..., "batch_stats": ...} of NumPy arrays, the settings as in `save_weights`, with "classes" where the
      weights have class names).

    Raises:
      InputError: there are no weights, or they are damaged or cannot be read.
    """
    checkpoint = (folders.newest_checkpoint(path) or path).absolute()
    if not folders.holds_arrays(checkpoint):
        raise InputError(f"{path}: holds no weights; expected a run's workdir or a folder of converted weights")
    workdir = folders.workdir_of(checkpoint)

    def to_numpy(about: Any) -> Any:
        return jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), about)

    try:
        if workdir is None:
            variables, settings = confirmed(lambda: read_arrays(checkpoint, to_numpy, needs="name"))
            settings.pop("format", None)
        else:
            variables, about = confirmed(lambda: read_arrays(checkpoint, to_numpy, needs="fingerprint"))
            if fingerprint(variables) != about["fingerprint"]:
                raise DamagedError("other numbers than were saved")
            settings = _settings_of_run(workdir) | {key: about[key] for key in about.keys() & {"classes"}}
    except DamagedError as error:
        advice = "copy it again" if workdir is None else "resuming the run moves it aside and uses the one before"
        raise InputError(f"{checkpoint}: is damaged ({error}); {advice}") from None
    if variables.get("average"):
        variables["params"] = variables["average"]
    return {name: variables[name] for name in COLLECTIONS}, settings


def _settings_of_run(workdir: pathlib.Path) -> dict[str, Any]:
    config = folders.read_config(workdir)
    settings = {key.removeprefix("model."): value for key, value in config.items() if key.startswith("model.")}
    return {**settings, **{key: config.get(f"data.{key}") for key in ("num_classes", "image_size", "resize_shorter")}}

"""A model's variables alone, as an Orbax checkpoint that says which model they belong to; and variables made to fit."""

import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from orbax.checkpoint import v1 as ocp

from hasnn_jax.errors import InputError
from hasnn_jax.fingerprint import fingerprint
from hasnn_jax.guarded_reading import read_guarded
from hasnn_jax.interop.release_names import Model

Variables = Mapping[str, Any]
COLLECTIONS = ("params", "batch_stats")
CHECKPOINTS = "checkpoints"  # the folder of a workdir that holds a run's
ORBAX_STATE = "state"  # the folder that a checkpoint's tree lies in


def save_weights(path: pathlib.Path, variables: Variables, settings: Mapping[str, Any]) -> None:
    """Saves variables as they are, any dtype; the folder appears under its name when it is whole.

    Args:
      path: a folder that does not exist yet.
      variables: {"params": ..., "batch_stats": ...} of arrays.
      settings: what the model was made with, as `config.model` has it, and "num_classes".

    Raises:
      InputError: something is there already.
    """
    if path.exists():
        raise InputError(f"{path}: exists already; remove it, or choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.absolute().with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        ocp.save(temporary, jax.tree.map(np.asarray, dict(variables)), custom_metadata=dict(settings))
        temporary.rename(path)
    except BaseException:
        for leftover in path.absolute().parent.glob(f"{temporary.name}*"):  # Orbax's own unfinished folder among them
            shutil.rmtree(leftover, ignore_errors=True)
        raise


def load_weights(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables and settings, from what `save_weights` wrote, or from a run: its workdir's newest checkpoint, or any.

    Those of a run are the ones that it evaluates by: its averaged weights, where it keeps such.

    Returns:
      ({"params": ..., "batch_stats": ...} of NumPy arrays, the settings of the model that they belong to).

    Raises:
      InputError: there is none, it cannot be read, or it is damaged.
    """
    checkpoint = newest_checkpoint(path) or path
    workdir = checkpoint.parent.parent if checkpoint.parent.name == CHECKPOINTS else None
    if not (checkpoint / ORBAX_STATE).is_dir():
        raise InputError(f"{path}: holds no weights; expected a run's workdir or a folder of converted weights")

    def read() -> tuple[Any, dict[str, Any], dict[str, Any]]:
        about = ocp.metadata(checkpoint.absolute())
        abstract = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), about.metadata)
        about_weights = about.custom_metadata or {}
        settings = about_weights if workdir is None else _settings_of_run(workdir)
        return ocp.load(checkpoint.absolute(), abstract), about_weights, settings

    found, reason = read_guarded(read)
    advice = "copy it anew" if workdir is None else "training that goes on lays it aside and uses the one before"
    if found is None:
        raise InputError(f"{checkpoint}: cannot be read ({reason}); {advice}")
    state, about_weights, settings = found
    if about_weights.get("fingerprint", fingerprint(state)) != fingerprint(state):
        raise InputError(f"{checkpoint}: is damaged, its numbers are others than were saved; {advice}")
    if state.get("average"):
        state["params"] = state["average"]
    return {name: state[name] for name in COLLECTIONS}, dict(settings or {})


def newest_checkpoint(workdir: pathlib.Path) -> pathlib.Path | None:
    """The newest whole checkpoint of a run's workdir; None where there is none."""
    steps = [int(folder.name) for folder in (workdir / CHECKPOINTS).glob("*") if folder.name.isdecimal()]
    return workdir / CHECKPOINTS / str(max(steps)) if steps else None


def _settings_of_run(workdir: pathlib.Path) -> dict[str, Any]:
    config = json.loads((workdir / "config.json").read_bytes())
    settings = {key.removeprefix("model."): value for key, value in config.items() if key.startswith("model.")}
    return {**settings, "num_classes": config["data.num_classes"]}


def fit_weights(
    model: Model, expected: Variables, weights: Variables, *, fresh_head: bool = False
) -> tuple[dict[str, Any], int]:
    """A model's own variables, with those of the weights in their place and in their dtype.

    Args:
      model: whose variables they are.
      expected: freshly initialised, arrays or not.
      weights: such as `load_weights` gives.
      fresh_head: leave the layers that end in the classes as they are, for another set of classes.

    Returns:
      (the variables, how many tracked value ranges the weights have not: those are left as they are).

    Raises:
      InputError: other names or shapes than expected; the first few are named.
    """
    ours, theirs = (flatten_dict({name: tree[name] for name in COLLECTIONS}) for tree in (expected, weights))
    kept = {path for path in ours if fresh_head and model.output_layers.intersection(path)}
    ranges = {path for path in ours.keys() - theirs.keys() if _is_range(path)}
    unknown = {path for path in theirs.keys() - ours.keys() if not _is_range(path)}
    odd = [path for path in ours.keys() - kept - ranges if np.shape(theirs.get(path)) != ours[path].shape]
    if faults := sorted({*(path for path in odd), *unknown}):
        named = "; ".join(_fault(path, ours, theirs) for path in faults[:4])
        more = f"; and {len(faults) - 4} more" if len(faults) > 4 else ""
        raise InputError(f"{len(faults)} arrays do not fit: {named}{more}")
    taken = {path: np.asarray(theirs[path]).astype(ours[path].dtype) for path in ours.keys() - kept - ranges}
    return unflatten_dict({**ours, **taken}), len(ranges) // 2


def _is_range(path: tuple[str, ...]) -> bool:
    return path[-2] == "encoder"


def _fault(path, ours, theirs) -> str:
    wanted, got = (tree[path].shape if path in tree else "none" for tree in (ours, theirs))
    return f"{'/'.join(path)}: expected {wanted}, got {got}"

"""The file that says what an experiment's folder holds, so that nothing else is mixed into it."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.locks import locked
from hasnn_jax.config import RESUMABLE, default_config, flatten
from hasnn_jax.experiments.experiment import Experiment, Variant
from hasnn_jax.experiments.folder import EXPERIMENT_FILE, read_json, write_json
from hasnn_jax.runs.workdir import as_read_back, list_differences

# What may differ between runs of one experiment's variant: what may in a resumed run, but its length, and the seed.
MAY_DIFFER = (RESUMABLE - {"epochs"}) | {"seed"}
PER_MACHINE = ("data.data_dir", "data.workers", "data.how_to_get")  # say where data lies and how it is read


def claim(
    root: pathlib.Path,
    experiment: Experiment,
    base: ConfigDict,
    variants: Sequence[Variant],
    asked: Iterable[Variant],
    seeds: Iterable[int],
    *,
    short: bool,
) -> dict[str, Any]:
    """Writes what is compared to the folder's `experiment.json`, or adds variants and seeds to what is there.

    Args:
      root: the experiment's folder; created if missing.
      experiment: which.
      base: the config that the variants start from; its seed is not kept.
      variants: all of the experiment.
      asked: those that are to be run.
      seeds: to run them with.
      short: whether the base config was shortened.

    Returns:
      what is now in the file.

    Raises:
      InputError: the folder holds another experiment, or one with other base settings; or it cannot be written.
    """
    settings = as_read_back({key: value for key, value in flatten(base).items() if key != "seed"})
    asked_names = {variant.name for variant in asked}
    try:
        root.mkdir(parents=True, exist_ok=True)
        with locked(root):
            there = read_json(root / EXPERIMENT_FILE)
            if there is not None:
                require_same(root, there, experiment.name, settings)
            was = there or {}
            now = {
                "experiment": experiment.name,
                "question": experiment.question,
                "paper": experiment.paper,
                "context": experiment.context,
                "tradeoff": experiment.tradeoff,
                "baseline": experiment.baseline,
                "short": short,
                "seeds": sorted({*was.get("seeds", ()), *seeds}),
                "asked": [v.name for v in variants if v.name in asked_names | set(was.get("asked", ()))],
                "variants": {v.name: {"about": v.about, "overrides": as_read_back(v.overrides)} for v in variants},
                "changed": changed_settings(settings),
                "base": settings,
            }
            write_json(root / EXPERIMENT_FILE, now)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"workdir {root}: is a file or lies in one; name a folder by --workdir") from None
    except OSError as error:
        raise InputError(f"workdir {root}: cannot be written ({error.strerror}); choose another --workdir") from None
    return now


def changed_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a flat config that are not the defaults of this version, without what belongs to the machine."""
    defaults = as_read_back(flatten(default_config()))
    return {key: v for key, v in settings.items() if key not in PER_MACHINE and defaults.get(key) != v}


def read_claim(root: pathlib.Path, experiment: str) -> dict[str, Any]:
    """What `claim` has written.

    Raises:
      InputError: the folder holds no experiment, or another one.
    """
    there = read_json(root / EXPERIMENT_FILE)
    if there is None:
        raise InputError(f"workdir {root}: holds no {EXPERIMENT_FILE}; run the experiment first, or choose another")
    require_same(root, there, experiment, there["base"])
    return there


def require_same(root: pathlib.Path, there: Mapping[str, Any], name: str, settings: Mapping[str, Any]) -> None:
    """Raises InputError if a folder's claim is of another experiment, or of other base settings."""
    if there["experiment"] != name:
        raise InputError(
            f"workdir {root}: holds the experiment {there['experiment']!r}, not {name!r}; choose another --workdir"
        )
    if listed := _differences(there["base"], settings):
        raise InputError(f"workdir {root}: holds this experiment with other settings ({listed}); choose another")


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """The first few of this version's settings in which two flat configs differ but may not; "" if there are none."""
    here = as_read_back(here)
    there = {**as_read_back(flatten(default_config())), **there}
    return list_differences({key: there.get(key) for key in here}, here, "here", MAY_DIFFER)


def require_same_run(folder: pathlib.Path, there: Mapping[str, Any], config: ConfigDict) -> None:
    """Raises InputError if the run in a folder has other settings than the planned one."""
    if listed := _differences(there, flatten(config)):
        raise InputError(
            f"{folder}: holds a run with other settings ({listed}); nothing in it was changed. Move it away, or choose "
            "another --workdir"
        )

"""The folder of one run: claimed once, for one config."""

import json
import os
import pathlib
from collections.abc import Callable, Mapping, Set
from typing import Any

from hasnn_jax.errors import InputError

CONFIG_FILE = "config.json"


def claim_workdir(path: str | os.PathLike[str], settings: Mapping[str, Any], continuable: Set[str]) -> pathlib.Path:
    """Makes the workdir, or finds in it an earlier part of the same run; records the settings in it.

    Args:
      path: the folder; made with its parents if missing.
      settings: the resolved config, dotted keys to plain values.
      continuable: keys that may differ from the run already there.

    Raises:
      InputError: the folder cannot be written, or holds a run with other settings. Nothing in it is changed then.
    """
    workdir = pathlib.Path(path).expanduser()
    record = workdir / CONFIG_FILE
    settings = json.loads(json.dumps(settings))  # tuples and the like as JSON will give them back
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if record.exists():
            _require_same_run(workdir, _read_settings(record), settings, continuable)
        write_atomically(record, lambda file: file.write_text(json.dumps(settings, indent=2) + "\n"))
    except OSError as error:
        raise InputError(f"workdir {workdir}: cannot be written ({error.strerror}); choose another --workdir") from None
    return workdir


def _read_settings(record: pathlib.Path) -> dict[str, Any]:
    try:
        settings = json.loads(record.read_bytes())
        if not isinstance(settings, dict):
            raise ValueError("not an object")
    except ValueError as error:  # JSON's and the text's decoding errors are ValueErrors
        raise InputError(f"{record}: is no config ({error}); restore it, or choose another --workdir") from None
    return settings


def _require_same_run(workdir, old: Mapping[str, Any], new: Mapping[str, Any], continuable: Set[str]) -> None:
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    if odd := [key for key in changed if key not in continuable]:
        listed = ", ".join(f"{key} is {old.get(key)!r} there, {new.get(key)!r} here" for key in odd[:5])
        more = f", and {len(odd) - 5} more" if len(odd) > 5 else ""
        raise InputError(f"workdir {workdir}: holds another config's run ({listed}{more}); choose another --workdir")


def write_atomically(path: pathlib.Path, write: Callable[[pathlib.Path], object]) -> None:
    """Replaces a file by what `write` puts into a temporary one beside it: the old content stays until then."""
    temporary = path.with_name(f".{path.name}.tmp")
    write(temporary)
    os.replace(temporary, path)

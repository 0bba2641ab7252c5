"""The folder of one run: claimed once, for one config."""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any

import jax

from hasnn_jax.errors import InputError
from hasnn_jax.lock import held
from hasnn_jax.training import processes

CONFIG_FILE = "config.json"
PER_HOST = frozenset({"data.data_dir", "data.workers", "model.init_from"})  # may differ between a run's processes


@contextlib.contextmanager
def claim_workdir(
    path: str | os.PathLike[str], settings: Mapping[str, Any], continuable: Set[str]
) -> Iterator[pathlib.Path]:
    """Makes the workdir, or finds in it an earlier part of the same run; records the settings in it, and holds it.

    All processes of a run call it. As long as it is held, a second run in the same folder is refused.

    Args:
      path: the folder; made with its parents if missing. All processes have to see the same one.
      settings: the resolved config, dotted keys to plain values.
      continuable: keys that may differ from the run already there.

    Raises:
      InputError: the folder cannot be written, is at work already, or holds a run with other settings; or the processes
        have different ones. Nothing in it is changed then.
    """
    if "://" in str(path):
        raise InputError(
            f"workdir {path}: expected a folder; mount the bucket (gcsfuse, s3fs) and name the folder where it lies"
        )
    workdir = pathlib.Path(path).expanduser().absolute()
    settings = json.loads(json.dumps(settings))  # tuples and the like as JSON will give them back
    _require_same_in_all_processes(settings)
    with contextlib.ExitStack() as stack:
        processes.on_main(lambda: _claim(workdir, settings, continuable, stack))
        if blind := processes.wherever(not (workdir / CONFIG_FILE).is_file()):
            raise InputError(
                f"workdir {workdir}: process 0 has made it, but these processes do not see it: "
                f"{', '.join(map(str, blind))}; name a folder that all of them share"
            )
        yield workdir


def _claim(workdir: pathlib.Path, settings: Mapping[str, Any], continuable: Set[str], stack) -> None:
    record = workdir / CONFIG_FILE
    if workdir.is_file():
        raise InputError(f"workdir {workdir}: is a file; name a folder, which is made if it does not exist")
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        stack.enter_context(held(workdir, f"workdir {workdir}: another run is at work in it; choose another --workdir"))
        if record.exists():
            _require_same_run(workdir, _read_settings(record), settings, continuable)
        write_atomically(record, lambda file: file.write_text(json.dumps(settings, indent=2) + "\n"))
    except OSError as error:
        raise InputError(f"workdir {workdir}: cannot be written ({error.strerror}); choose another --workdir") from None


def _read_settings(record: pathlib.Path) -> dict[str, Any]:
    try:
        settings = json.loads(record.read_bytes())
        if not isinstance(settings, dict):
            raise ValueError("not an object")
    except ValueError as error:  # JSON's and the text's decoding errors are ValueErrors
        raise InputError(f"{record}: is no config ({error}); restore it, or choose another --workdir") from None
    return settings


def _require_same_in_all_processes(settings: Mapping[str, Any]) -> None:
    listed = _differences(settings, processes.on_main(lambda: dict(settings)), "in process 0", PER_HOST)
    told = f"process {jax.process_index()} has another config: {listed}" if listed else None
    if told := processes.first_told(told):
        raise InputError(f"{told}; start all of them with the same command")


def _require_same_run(workdir, old: Mapping[str, Any], new: Mapping[str, Any], continuable: Set[str]) -> None:
    if listed := _differences(old, new, "here", continuable):
        raise InputError(f"workdir {workdir}: holds another config's run ({listed}); choose another --workdir")


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], place: str, may_differ: Set[str]) -> str:
    """The first few settings that differ but may not; "" if there are none."""
    odd = [k for k in sorted((there.keys() | here.keys()) - may_differ) if there.get(k) != here.get(k)]
    listed = ", ".join(f"{key} is {there.get(key)!r} there, {here.get(key)!r} {place}" for key in odd[:5])
    return listed + (f", and {len(odd) - 5} more" if len(odd) > 5 else "")


def write_atomically(path: pathlib.Path, write: Callable[[pathlib.Path], object]) -> None:
    """Replaces a file by what `write` puts into a temporary one beside it: the old content stays until then."""
    temporary = path.with_name(f".{path.name}.tmp")
    write(temporary)
    os.replace(temporary, path)

"""The folder of one run, the workdir: one config, one run at a time."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Set
from types import MappingProxyType
from typing import Any

import jax

from hasnn_jax.checkpoints.folders import CONFIG_FILE, read_config
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.files import replacing
from hasnn_jax.common.locks import locked
from hasnn_jax.training import processes

PER_HOST = frozenset({"data.data_dir", "data.workers", "model.init_from"})  # may differ between a run's processes


@contextlib.contextmanager
def claim_workdir(
    path: str | os.PathLike[str],
    settings: Mapping[str, Any],
    resumable: Set[str],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[pathlib.Path]:
    """Creates or reopens a run's workdir, writes the settings to it, and locks it; a context manager.

    All processes of a run call it. While it is locked, a second run in the same folder is refused.

    Args:
      path: the folder; created with its parents if missing. All processes have to see the same one.
      settings: the resolved config, dotted keys to plain values.
      resumable: keys that may differ from the run already there.
      defaults: values of keys that the run there may lack, because it began before they existed.

    Raises:
      InputError: the folder cannot be written, is in use, or holds a run with other settings; or the processes have
        different settings. Nothing in it is changed then.
    """
    if "://" in str(path):
        raise InputError(
            f"workdir {path}: expected a folder; mount the bucket (gcsfuse, s3fs) and name the folder where it lies"
        )
    workdir = pathlib.Path(path).expanduser().absolute()
    settings, defaults = (as_read_back(each) for each in (settings, defaults))
    _require_same_in_all_processes(settings)
    with contextlib.ExitStack() as stack:
        processes.on_main(lambda: _claim(workdir, settings, resumable, defaults, stack))
        if blind := processes.processes_where(not (workdir / CONFIG_FILE).is_file()):
            raise InputError(
                f"workdir {workdir}: process 0 has created it, but these processes do not see it: "
                f"{', '.join(map(str, blind))}; name a folder that all of them share"
            )
        yield workdir


def _claim(workdir: pathlib.Path, settings: Mapping[str, Any], resumable: Set[str], defaults, stack) -> None:
    record = workdir / CONFIG_FILE
    if workdir.is_file():
        raise InputError(f"workdir {workdir}: is a file; name a folder, which is created if it does not exist")
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locked(workdir, f"workdir {workdir}: another run is using it; choose another --workdir"))
        if record.exists():
            _require_same_run(workdir, {**defaults, **read_config(workdir)}, settings, resumable)
        with replacing(record) as temporary:
            temporary.write_text(json.dumps(settings, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"workdir {workdir}: cannot be written ({error.strerror}); choose another --workdir") from None


def _require_same_in_all_processes(settings: Mapping[str, Any]) -> None:
    listed = list_differences(settings, processes.on_main(lambda: dict(settings)), "in process 0", PER_HOST)
    fault = f"process {jax.process_index()} has another config: {listed}" if listed else None
    if fault := processes.first_text(fault):
        raise InputError(f"{fault}; start all of them with the same command")


def _require_same_run(workdir, old: Mapping[str, Any], new: Mapping[str, Any], resumable: Set[str]) -> None:
    if listed := list_differences(old, new, "here", resumable):
        raise InputError(f"workdir {workdir}: holds another config's run ({listed}); choose another --workdir")


def as_read_back(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are when they have been written as JSON and read again: tuples are lists."""
    return json.loads(json.dumps(dict(settings)))


def list_differences(there: Mapping[str, Any], here: Mapping[str, Any], place: str, may_differ: Set[str]) -> str:
    """The first few settings that differ but may not; "" if there are none. `place` says where `here` is."""
    odd = [k for k in sorted((there.keys() | here.keys()) - may_differ) if there.get(k) != here.get(k)]
    listed = ", ".join(f"{key} is {there.get(key)!r} there, {here.get(key)!r} {place}" for key in odd[:5])
    return listed + (f", and {len(odd) - 5} more" if len(odd) > 5 else "")

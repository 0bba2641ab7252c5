"""A folder of values that later processes find by a digest of what they were made from."""

import contextlib
import functools
import hashlib
import os
import pathlib
import pickle
import re
import stat
from typing import Any

from hasnn_jax.common.console import say
from hasnn_jax.common.files import replacing
from hasnn_jax.common.locks import locked

LARGEST_FOLDER = 2**28  # bytes; beyond that, what was not used for longest is deleted
_KEY = re.compile(r"[0-9a-f]{64}")


def is_private(folder: pathlib.Path) -> bool:
    """Whether this user alone can write in a folder, which need not exist: what is read there may run code."""
    try:
        about = folder.lstat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o022


def read(folder: pathlib.Path, key: str) -> Any:
    """The value of a key, a digest; None if there is none, or its file is damaged."""
    file = folder / key
    try:
        content = file.read_bytes()
    except OSError:
        return None
    expected, pickled = content[:32], content[32:]
    if hashlib.sha256(pickled).digest() != expected:
        return None
    with contextlib.suppress(OSError):  # the folder may be read-only
        os.utime(file)
    return pickle.loads(pickled)


def write(folder: pathlib.Path, key: str, value: Any) -> None:
    """Keeps a value for later processes. If its file cannot be written, that is only said, and once."""
    pickled = pickle.dumps(value)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(folder):
            _make_room(folder, len(pickled))
            with replacing(folder / key) as temporary:
                temporary.write_bytes(hashlib.sha256(pickled).digest() + pickled)
    except OSError as error:
        _say_once(f"nothing can be kept in {folder} for the next start ({error.strerror})")


_say_once = functools.cache(say)


def _make_room(folder: pathlib.Path, size: int) -> None:
    """Deletes what killed processes have left, and the files that were not used for longest, until `size` bytes fit."""
    files = [file for file in folder.iterdir() if _KEY.fullmatch(file.name)]
    for leftover in folder.glob(".*.tmp"):
        if _KEY.fullmatch(leftover.name[1:-4]):
            leftover.unlink()
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        size += file.stat().st_size
        if size > LARGEST_FOLDER:
            file.unlink()

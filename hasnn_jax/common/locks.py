"""A folder that one process at a time writes in."""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from hasnn_jax.common.errors import InputError


@contextlib.contextmanager
def locked(folder: pathlib.Path, refusal: str) -> Iterator[None]:
    """Locks a folder; the operating system releases it when this process ends, however it ends.

    Raises:
      InputError: with the text `refusal`, if another process has it locked.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(refusal) from None
        yield
    finally:
        os.close(descriptor)

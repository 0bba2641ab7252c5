"""A folder that one process at a time writes in."""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from hasnn_jax.common.errors import InUseError


@contextlib.contextmanager
def locked(folder: pathlib.Path, refusal: str | None = None) -> Iterator[None]:
    """Locks a folder; the operating system releases it when this process ends, however it ends.

    Args:
      folder: which.
      refusal: the error's text if another process has it locked; None: wait until it is free.

    Raises:
      InUseError: another process has it locked.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if refusal is None else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InUseError(refusal) from None
        yield
    finally:
        os.close(descriptor)

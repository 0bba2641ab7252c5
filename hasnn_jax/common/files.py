"""Files and folders that appear under their name complete, or not at all."""

import contextlib
import glob
import os
import pathlib
import shutil
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary path; what is written there becomes `path` on leaving, or is deleted after an error.

    A file that was at `path` is there, unchanged, until then. What a killed process left under the temporary name is
    overwritten.

    Args:
      path: of a file, which may exist, or of a folder, which may not.
    """
    path = path.absolute()
    temporary = path.with_name(f".{path.name}.tmp")
    _remove_folders(temporary)
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        _remove_folders(temporary)
        if not temporary.is_dir():
            temporary.unlink(missing_ok=True)
        raise


def sync(path: pathlib.Path) -> None:
    """Waits until a file's content, or a folder's list of names, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_folders(temporary: pathlib.Path) -> None:
    """Removes the temporary folder, and those that Orbax names after it while it writes."""
    for leftover in temporary.parent.glob(f"{glob.escape(temporary.name)}*"):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)

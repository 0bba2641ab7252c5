"""Reading a checkpoint's arrays, and telling damage from other reasons for which that can fail.

Only damage may move a checkpoint out of the way. A read that fails for want of memory, for a permission, or because a
network file system is away for a moment says nothing about the checkpoint.
"""

import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

from orbax.checkpoint import v1 as ocp

from hasnn_jax.checkpoints.metadata import require_known_format
from hasnn_jax.checkpoints.quiet_orbax import read_quietly
from hasnn_jax.common.errors import InputError, first_line

T = TypeVar("T")

READ_BYTES = 1 << 24
_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
# TensorStore raises ValueErrors, and XLA RuntimeErrors, which carry their status code in the text only.
_NOT_DAMAGE = (
    "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED",
    "UNAVAILABLE",
)  # fmt: skip


class DamagedError(Exception):
    """A checkpoint does not hold what was saved; the message says what is wrong, in a few words."""


def read_arrays(checkpoint: pathlib.Path, target: Callable[[Any], Any], needs: str) -> tuple[Any, dict[str, Any]]:
    """Reads the arrays of a checkpoint.

    A failure counts as damage only if every file of the checkpoint can be read; see also `confirmed`.

    Args:
      checkpoint: an absolute path.
      target: gets the tree of the arrays' metadata, which have `shape` and `dtype`, and returns what each is read to: a
        NumPy array of that shape and dtype, or a `jax.ShapeDtypeStruct` with a sharding. A ValueError of it counts as
        damage.
      needs: a key that the custom metadata have, unless they are damaged.

    Returns:
      (the tree of arrays, the custom metadata saved with them).

    Raises:
      DamagedError: the checkpoint is damaged.
      InputError: it cannot be read for another reason, or was written by a newer version.
    """

    def read() -> tuple[Any, dict[str, Any]]:
        about = ocp.metadata(checkpoint)
        require_known_format(about.custom_metadata or {}, checkpoint)
        if needs not in (about.custom_metadata or {}):
            raise ValueError(f"its metadata lack the {needs}")
        return ocp.load(checkpoint, target(about.metadata)), dict(about.custom_metadata)

    result, error = read_quietly(read)
    if result is not None:
        return result
    assert error is not None
    if isinstance(error, InputError):
        raise error
    if not may_be_damage(error):
        raise _unreadable(checkpoint, error)
    _require_readable(checkpoint)
    raise DamagedError(first_line(error, longest=160))


def confirmed(read: Callable[[], T]) -> T:
    """Calls a function that reads a checkpoint, once more if it finds damage: that may have been a passing fault."""
    try:
        return read()
    except DamagedError:
        return read()


def may_be_damage(error: Exception) -> bool:
    """Whether a failed read may have been caused by what the checkpoint holds."""
    if isinstance(error, OSError):
        return isinstance(error, _MISSING)
    return not isinstance(error, MemoryError) and not any(f"{code}: " in str(error) for code in _NOT_DAMAGE)


def _require_readable(checkpoint: pathlib.Path) -> None:
    """Raises InputError unless every file can be read; Orbax takes some files that it cannot open for missing."""
    for file in checkpoint.rglob("*"):
        try:
            if file.is_file():
                with file.open("rb") as stream:
                    while stream.read(READ_BYTES):
                        pass
        except _MISSING:
            pass
        except OSError as error:
            raise _unreadable(checkpoint, error) from None


def _unreadable(checkpoint: pathlib.Path, error: Exception) -> InputError:
    return InputError(
        f"{checkpoint}: cannot be read now ({first_line(error, longest=160)}), which does not mean that it is damaged; "
        "nothing was moved. Remove the cause, and run the same command again"
    )

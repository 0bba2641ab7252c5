"""Errors that a person can fix, and other errors in a few words."""

import errno
import os

LONGEST = 300
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class InputError(ValueError):
    """Bad input: what was got, what was expected, and how to fix it. Commands print it as one line, no traceback."""


class InUseError(InputError):
    """A folder is locked by another process."""


class DivergedError(InputError):
    """Training has diverged.

    Attributes:
      what: what was seen, in a clause without paths or advice, which are in the message.
      step: the step at which it was seen.
    """

    def __init__(self, message: str, what: str, step: int):
        super().__init__(message)
        self.what, self.step = what, step


def first_line(error: BaseException, longest: int = LONGEST) -> str:
    """The first line of an error's message, or its type's name where it has none, cut to `longest` characters."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if len(line) <= longest else f"{line[: longest - 4].rstrip()} ..."


def is_disk_full(error: BaseException) -> bool:
    """Whether an error means that the disk is full or a quota is reached.

    Libraries written in C++ say so only in the text of a RuntimeError or ValueError.
    """
    return getattr(error, "errno", None) in _DISK_FULL or any(os.strerror(code) in str(error) for code in _DISK_FULL)

"""What a compiler's errors say: that a program does not fit, or something else."""

import dataclasses
import re

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_TOO_MUCH = (
    re.compile(r"Used ([\d.]+)([KMGT]?) of ([\d.]+)([KMGT]?) hbm"),
    re.compile(r"\(([\d.]+)([KMGT]?)\) exceeds available HBM \(([\d.]+)([KMGT]?)\)"),
)


@dataclasses.dataclass(frozen=True)
class Refusal:
    """The compiler's answer that a program does not fit: bytes that it needs and has; None where it does not say."""

    needed: float | None
    available: float | None


def read_refusal(message: str) -> Refusal | None:
    """What a compiler's error says of memory that is too small; None if it is another error."""
    if "RESOURCE_EXHAUSTED" not in message or "hbm" not in message.lower():
        return None
    for pattern in _TOO_MUCH:
        if match := pattern.search(message):
            needed, available = (float(match[i]) * _UNITS[match[i + 1]] for i in (1, 3))
            return Refusal(needed, available)
    return Refusal(None, None)


def first_line(error: Exception) -> str:
    """The first line of an error, as part of a message of one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]

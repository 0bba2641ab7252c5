"""Tells the compiler's error for a program that does not fit into memory from its other errors."""

import dataclasses
import re

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_OUT_OF_MEMORY = (
    re.compile(r"Used ([\d.]+)([KMGT]?) of ([\d.]+)([KMGT]?) hbm"),
    re.compile(r"\(([\d.]+)([KMGT]?)\) exceeds available HBM \(([\d.]+)([KMGT]?)\)"),
)


@dataclasses.dataclass(frozen=True)
class Refusal:
    """The compiler's answer that a program does not fit into a device's memory.

    Attributes:
      needed: bytes; None where the compiler does not say.
      available: bytes; None where the compiler does not say.
    """

    needed: float | None
    available: float | None


def read_refusal(message: str) -> Refusal | None:
    """What a compiler's error says about memory that is too small; None for any other error."""
    if "RESOURCE_EXHAUSTED" not in message or "hbm" not in message.lower():
        return None
    for pattern in _OUT_OF_MEMORY:
        if match := pattern.search(message):
            needed, available = (float(match[i]) * _UNITS[match[i + 1]] for i in (1, 3))
            return Refusal(needed, available)
    return Refusal(None, None)

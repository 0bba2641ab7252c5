"""Items a few at a time."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, `size` at a time; the last chunk may have fewer."""
    listed = list(items)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]

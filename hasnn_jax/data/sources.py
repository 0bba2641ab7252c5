"""What a data source is: two splits of labelled images, their class names, and how to add a new one.

To add a source, write a function that returns a `Source` and add it to `hasnn_jax.data.SOURCES` under the name that
`config.data.source` will use. The function's parameters are filled by name from `config.data`, so each one that has no
default must be named like a key there (`name`, `data_dir`, `exclude`, `how_to_get`, ...; see `hasnn_jax.config`). A
parameter that is not a key keeps its default.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

Report = Callable[[str, int, int], object]  # (name of the stage, items done, items in total)


def no_report(stage: str, done: int, total: int) -> None:
    """A `Report` that shows nothing."""


class Split(Protocol):
    """Random access to labelled images; it can be pickled, and several threads can read it at once.

    `split[i]` is a dict with "image", the bytes of an image file or uint8 [H, W, C], and "label", an integer. Images
    may differ in size. It may also have "name", which says in error messages which image is meant.

    A split may have a method `outline(i)` that returns name, label and size in bytes of example i, and checks the
    example without reading all of it.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> dict[str, Any]: ...


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
      name: the data set's name in messages.
      classes: the class names; a label is an index into them.
      train, test: the two splits.
      split_names: the source's own names for them.
      remarks: what the user should know about the data, such as skipped files; one line each.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    split_names: tuple[str, str] = ("train", "test")
    remarks: tuple[str, ...] = ()

"""Where images come from: a name in the config becomes a `Source` here.

A split is anything with a length and `split[i] -> {"image": ..., "label": int}`, where the image is the bytes of an
image file or uint8 [H, W, C]; images may differ in size, and "name", for messages, may say which one it is. It may have
`outline(i)` as well: name, label and size in bytes of an example, checked without reading all of it.

To add a source, write a function that returns a `Source`, and enter it in `hasnn_jax.data.SOURCES` and in
`hasnn_jax.assembly.open_source`, which picks its arguments from the config.
"""

import dataclasses
from typing import Any, Protocol


class Split(Protocol):
    """Random access to labelled images; picklable, and safe to read from several threads."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> dict[str, Any]: ...


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
      name: what to call it in messages.
      classes: the class names; labels are their positions.
      train, test: the two splits.
      split_names: what the source itself calls them.
      remarks: what a person should know about it, such as files that were passed over; a line each.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    split_names: tuple[str, str] = ("train", "test")
    remarks: tuple[str, ...] = ()

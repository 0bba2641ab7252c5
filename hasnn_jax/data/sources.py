"""Where images come from: a name in the config becomes a `Source` here.

A split is anything with a length and `split[i] -> {"image": uint8 [H, W, C], "label": int}`; images may differ
in size. To add a source, write a function that returns a `Source`, and enter it in `hasnn_jax.data.SOURCES` and in
`hasnn_jax.trainer.open_source`, which picks its arguments from the config.
"""

import dataclasses
from typing import Any, Protocol


class Split(Protocol):
    """Random access to labelled images; must be safe to read from several threads."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> dict[str, Any]: ...


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
      name: what to call it in messages.
      classes: the class names; labels are their positions.
      train, test: the two splits.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split

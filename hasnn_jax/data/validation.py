"""Holds a share of the training images out, to choose settings by without a look at the test images."""

import dataclasses
from typing import Any

import numpy as np

from hasnn_jax.common.errors import InputError
from hasnn_jax.data.sources import Source, Split

HELD_OUT_SEED = 0


@dataclasses.dataclass(frozen=True)
class PartOfSplit:
    """Some examples of a split.

    Attributes:
      split: the whole.
      members: indices into it.
    """

    split: Split
    members: np.ndarray

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, position: Any) -> dict[str, Any]:
        return self.split[int(self.members[position])]


def hold_out(source: Source, share: float) -> Source:
    """A data set whose test images are a part of the training images, which are then not trained on.

    The images are drawn at random, the same ones for every run. The source's own test images are left out.

    Args:
      source: any data set.
      share: of the training images, above 0 and below 1; rounded to at least one image.

    Raises:
      InputError: nothing would be left to train on.
    """
    count = max(round(share * len(source.train)), 1)
    if count >= len(source.train):
        raise InputError(f"config.data.validation: {share} of {len(source.train)} images leaves none for training")
    order = np.random.default_rng(HELD_OUT_SEED).permutation(len(source.train))
    validation, train = (PartOfSplit(source.train, np.sort(part)) for part in (order[:count], order[count:]))
    names = (source.split_names[0], f"held out of {source.split_names[0]}")
    return dataclasses.replace(source, train=train, test=validation, split_names=names)

"""The data set that comes with the package: 1,797 handwritten digits of 8 x 8 pixels.

The images are scikit-learn's `load_digits`: the test half of "Optical Recognition of Handwritten Digits"
(Alpaydin & Kaynak 1998, UCI Machine Learning Repository, CC BY 4.0); each pixel is an ink count from 0 to 16.
"""

import dataclasses
import importlib.resources
from typing import Any

import numpy as np

from hasnn_jax.data.sources import Source
from hasnn_jax.data.split import stratified_split

SPLIT_SEED = 0
TEST_FRACTION = 0.2


@dataclasses.dataclass(frozen=True)
class ArraySplit:
    """Images and labels held in memory: uint8 [N, H, W, C] and integers [N]."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> dict[str, Any]:
        return {"image": self.images[index], "label": self.labels[index]}


def open_digits() -> Source:
    """Opens the digits, scaled to 0..255, in a fixed stratified split of 80 % and 20 %."""
    file = importlib.resources.files("hasnn_jax.data") / "digits.npz"
    with file.open("rb") as stream, np.load(stream) as arrays:
        ink, labels = arrays["images"], arrays["labels"].astype(np.int32)
    images = np.rint(ink[..., None] * (255 / 16)).astype(np.uint8)
    train, test = (ArraySplit(images[i], labels[i]) for i in stratified_split(labels, TEST_FRACTION, SPLIT_SEED))
    return Source("digits", tuple("0123456789"), train, test)

"""Per-image preprocessing: an example of any size becomes an image of the model's size."""

import dataclasses
import functools
from typing import Any

import numpy as np

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import transforms
from hasnn_jax.data.images import read_pixels
from hasnn_jax.data.randaugment import randaugment


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of each example, for training and for evaluation.

    Attributes:
      num_classes: labels must lie in 0..num_classes - 1.
      image_size: height and width of the result, in pixels.
      resize_shorter: a number resizes the image's shorter side to that many pixels and crops the centre. None resizes
        the whole image to a square, which changes its proportions; the release does this.
      crop_scale: a number trains on a random part of at least this share of the image's area (0.08 is usual). None
        trains on the same part that evaluation uses.
      flip: mirror training images left and right at random.
      shift: move training images by up to this many pixels at random.
      randaugment: a number applies so many random operations to training images; see `randaugment`. None: none.
      randaugment_magnitude: of these operations, a whole number from 0 to 30.
      random_erasing: probability, 0..1, that a rectangle of a training image is blackened; see `transforms.erase`.

    Raises:
      InputError: `resize_shorter` is smaller than `image_size`.
    """

    num_classes: int
    image_size: int
    resize_shorter: int | None = None
    crop_scale: float | None = None
    flip: bool = False
    shift: int = 0
    randaugment: int | None = None
    randaugment_magnitude: int = 9
    random_erasing: float = 0.0

    def __post_init__(self):
        if self.resize_shorter is not None and self.resize_shorter < self.image_size:
            raise InputError(
                f"resize_shorter: expected at least {self.image_size}, the image size; got {self.resize_shorter}"
            )

    def image_shape(self, example: dict[str, Any]) -> tuple[int, int, int]:
        """The shape [H, W, C] of the result for an example like this one."""
        channels = 3 if isinstance(example["image"], bytes) else example["image"].shape[-1]
        return self.image_size, self.image_size, channels

    def label(self, example: dict[str, Any]) -> np.int32:
        """The example's label; raises InputError if it is out of range."""
        label = int(example["label"])
        if not 0 <= label < self.num_classes:
            raise InputError(
                f"{_name(example)}: label {label}: expected 0 to {self.num_classes - 1}, because the model "
                f"has {self.num_classes} classes"
            )
        return np.int32(label)

    def for_evaluation(self, example: dict[str, Any]) -> np.ndarray:
        """The example's image for evaluation: uint8 [image_size, image_size, C]."""
        if self.resize_shorter is None:
            choose = transforms.whole
        else:
            choose = functools.partial(transforms.centre_square, share=self.image_size / self.resize_shorter)
        return read_pixels(example["image"], self.image_size, choose, _name(example))

    def for_training(self, example: dict[str, Any], generator: np.random.Generator) -> np.ndarray:
        """The example's image for training, augmented: uint8 [image_size, image_size, C]."""
        if self.crop_scale is None:
            image = self.for_evaluation(example)
        else:
            choose = functools.partial(transforms.random_part, smallest=self.crop_scale, generator=generator)
            image = read_pixels(example["image"], self.image_size, choose, _name(example))
        if self.flip:
            image = transforms.flip_horizontally(image, generator)
        if self.shift:
            image = transforms.shift(image, self.shift, generator)
        if self.randaugment:
            image = randaugment(image, self.randaugment, self.randaugment_magnitude, generator)
        if self.random_erasing:
            image = transforms.erase(image, self.random_erasing, generator)
        return image


def _name(example: dict[str, Any]) -> str:
    return example.get("name", "image")

"""What is done to each example, in training and in evaluation."""

import dataclasses
import functools
from typing import Any

import numpy as np

from hasnn_jax.data import transforms
from hasnn_jax.data.images import read_pixels
from hasnn_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Preparation:
    """What is done to each example.

    Attributes:
      num_classes: labels must lie in 0..num_classes - 1.
      image_size: height and width of the result, in pixels.
      resize_shorter: None resizes the whole image to a square, whatever its shape, as the release does; a number
        resizes its shorter side to that many pixels and crops the centre.
      crop_scale: training takes a random part of at least this share of the image's area instead (0.08 is usual);
        None: it takes what evaluation takes.
      flip: mirror training images left and right at random.
      shift: move training images by up to so many pixels at random.
    """

    num_classes: int
    image_size: int
    resize_shorter: int | None = None
    crop_scale: float | None = None
    flip: bool = False
    shift: int = 0

    def __post_init__(self):
        if self.resize_shorter is not None and self.resize_shorter < self.image_size:
            raise InputError(
                f"resize_shorter: expected {self.image_size}, the image size, or more; got {self.resize_shorter}"
            )

    def image_shape(self, example: dict[str, Any]) -> tuple[int, int, int]:
        """Shape of the prepared images of a split that has examples like this one."""
        channels = 3 if isinstance(example["image"], bytes) else example["image"].shape[-1]
        return self.image_size, self.image_size, channels

    def label(self, example: dict[str, Any]) -> np.int32:
        """The example's label, checked."""
        label = int(example["label"])
        if not 0 <= label < self.num_classes:
            raise InputError(
                f"{_name(example)}: label {label}: expected 0 to {self.num_classes - 1}, for the model has "
                f"{self.num_classes} classes"
            )
        return np.int32(label)

    def for_evaluation(self, example: dict[str, Any]) -> np.ndarray:
        """uint8 [image_size, image_size, C]."""
        if self.resize_shorter is None:
            choose = transforms.whole
        else:
            choose = functools.partial(transforms.centre_square, share=self.image_size / self.resize_shorter)
        return read_pixels(example["image"], self.image_size, choose, _name(example))

    def for_training(self, example: dict[str, Any], generator: np.random.Generator) -> np.ndarray:
        """uint8 [image_size, image_size, C], augmented."""
        if self.crop_scale is None:
            image = self.for_evaluation(example)
        else:
            choose = functools.partial(transforms.random_part, smallest=self.crop_scale, generator=generator)
            image = read_pixels(example["image"], self.image_size, choose, _name(example))
        if self.flip:
            image = transforms.flip_horizontally(image, generator)
        if self.shift:
            image = transforms.shift(image, self.shift, generator)
        return image


def _name(example: dict[str, Any]) -> str:
    return example.get("name", "image")

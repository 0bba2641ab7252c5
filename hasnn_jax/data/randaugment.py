"""RandAugment (arXiv 1909.13719): a few operations, drawn at random, with one magnitude for all of them.

The 14 operations, their ranges and the 31 magnitudes are those of torchvision's `v2.RandAugment` for Pillow images, and
so are the results, to the byte. Pixels are moved without interpolation; what comes in from outside the image is black.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

HIGHEST = 30  # magnitudes are whole numbers from 0, the weakest, to this
LARGEST_SHEAR = 0.3  # pixels aside per pixel
LARGEST_MOVE = 150 / 331  # share of the width or height
LARGEST_TURN = 30.0  # degrees
LARGEST_CHANGE = 0.9  # of brightness, colour, contrast and sharpness, relative


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation on Pillow images of mode L or RGB.

    Attributes:
      apply: (image, strength) -> image of the same mode and size.
      strength: (magnitude, (width, height)) -> the strength at that magnitude.
      signed: whether the strength is negated half of the time.
    """

    apply: Callable[[Image.Image, float], Image.Image]
    strength: Callable[[int, tuple[int, int]], float] = lambda magnitude, size: 0.0
    signed: bool = False


def randaugment(image: np.ndarray, count: int, magnitude: int, generator: np.random.Generator) -> np.ndarray:
    """Applies `count` operations, each drawn evenly from `OPERATIONS`, one after the other.

    Args:
      image: uint8 [H, W, C] with C = 1 or 3.
      count: how many operations, 0 or more; 2 is usual.
      magnitude: of all of them, a whole number from 0 to 30; 9 is usual.
      generator: draws operations and signs.

    Returns:
      a new image, uint8 [H, W, C].
    """
    names = tuple(OPERATIONS)
    pixels = _to_pillow(image)
    for _ in range(count):
        operation = OPERATIONS[names[generator.integers(len(names))]]
        strength = operation.strength(magnitude, pixels.size)
        if operation.signed and generator.random() < 0.5:
            strength = -strength
        pixels = operation.apply(pixels, strength)
    return np.array(pixels).reshape(image.shape)


def _to_pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[-1] == 1 else image))


def _between(weakest: float, strongest: float, magnitude: int) -> float:
    """The strength at a magnitude, counted from the nearer end and rounded once to float32, as by `torch.linspace`.

    The threshold of solarize falls on whole pixel values, where this rounding decides.
    """
    step = float(np.float32(strongest - weakest) / np.float32(HIGHEST))
    if magnitude < (HIGHEST + 1) // 2:
        return float(np.float32(weakest + step * magnitude))
    return float(np.float32(float(np.float32(strongest)) - step * (HIGHEST - magnitude)))


def _map_back(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    """The image whose pixel (x, y) is that at (a x + b y + c, d x + e y + f), for the matrix (a, b, c, d, e, f)."""
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


def _shear_x(image: Image.Image, strength: float) -> Image.Image:
    return _map_back(image, (1, strength, 0, 0, 1, 0))


def _shear_y(image: Image.Image, strength: float) -> Image.Image:
    return _map_back(image, (1, 0, 0, strength, 1, 0))


def _translate_x(image: Image.Image, strength: float) -> Image.Image:
    return _map_back(image, (1, 0, -int(strength), 0, 1, 0))


def _translate_y(image: Image.Image, strength: float) -> Image.Image:
    return _map_back(image, (1, 0, 0, 0, 1, -int(strength)))


def _rotate(image: Image.Image, strength: float) -> Image.Image:
    return image.rotate(strength, Image.Resampling.NEAREST)


def _enhance(enhancer: Any) -> Callable[[Image.Image, float], Image.Image]:
    return lambda image, strength: enhancer(image).enhance(1 + strength)


def _same(image: Image.Image, strength: float) -> Image.Image:
    return image


def _posterize(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.posterize(image, int(strength))


def _bits(magnitude: int, size: tuple[int, int]) -> float:
    """How many of the upper bits are kept: 8 down to 4."""
    return round(8 - 4 * magnitude / HIGHEST)


def _solarize(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.solarize(image, math.ceil(255 * strength))  # values from here on are inverted


def _auto_contrast(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.autocontrast(image)


def _equalize(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.equalize(image)


def _up_to(limit: float) -> Callable[[int, tuple[int, int]], float]:
    return lambda magnitude, size: _between(0, limit, magnitude)


OPERATIONS: dict[str, Operation] = {
    "identity": Operation(_same),
    "shear_x": Operation(_shear_x, _up_to(LARGEST_SHEAR), signed=True),
    "shear_y": Operation(_shear_y, _up_to(LARGEST_SHEAR), signed=True),
    "translate_x": Operation(_translate_x, lambda m, size: _between(0, LARGEST_MOVE * size[0], m), signed=True),
    "translate_y": Operation(_translate_y, lambda m, size: _between(0, LARGEST_MOVE * size[1], m), signed=True),
    "rotate": Operation(_rotate, _up_to(LARGEST_TURN), signed=True),
    "brightness": Operation(_enhance(ImageEnhance.Brightness), _up_to(LARGEST_CHANGE), signed=True),
    "color": Operation(_enhance(ImageEnhance.Color), _up_to(LARGEST_CHANGE), signed=True),
    "contrast": Operation(_enhance(ImageEnhance.Contrast), _up_to(LARGEST_CHANGE), signed=True),
    "sharpness": Operation(_enhance(ImageEnhance.Sharpness), _up_to(LARGEST_CHANGE), signed=True),
    "posterize": Operation(_posterize, _bits),
    "solarize": Operation(_solarize, lambda m, size: _between(1, 0, m)),
    "auto_contrast": Operation(_auto_contrast),
    "equalize": Operation(_equalize),
}

"""Functions that choose the part of an image to use, and functions that augment its pixels.

The first kind takes the image's (width, height) and returns left, top, right, bottom. The second kind takes and returns
pixels, uint8 [H, W, C].
"""

import math

import numpy as np

from hasnn_jax.data.images import Box

ASPECT_RATIOS = (3 / 4, 4 / 3)
TRIES = 10


def whole(width: int, height: int) -> Box:
    """The whole image; resizing it to a square changes its proportions."""
    return 0, 0, width, height


def centre_square(width: int, height: int, share: float) -> Box:
    """A square in the middle whose side is `share` (above 0, up to 1) times the image's shorter side.

    Resizing it to n x n pixels equals resizing the image's shorter side to n / share and cropping n x n at the centre.
    """
    side = share * min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def random_part(width: int, height: int, smallest: float, generator: np.random.Generator) -> Box:
    """A part of random size, shape and position: the augmentation of Inception.

    The area is uniform between `smallest` (above 0, up to 1) times the image's area and the whole area; the aspect
    ratio is log-uniform between 3/4 and 4/3. A part that does not fit into the image is drawn again. After ten failed
    tries the result is the largest part with an allowed aspect ratio, at the centre.
    """
    low, high = (math.log(ratio) for ratio in ASPECT_RATIOS)
    for _ in range(TRIES):
        area = generator.uniform(smallest, 1) * width * height
        ratio = math.exp(generator.uniform(low, high))
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            left, top = int(generator.integers(0, width - wide + 1)), int(generator.integers(0, height - tall + 1))
            return left, top, left + wide, top + tall
    widest, tallest = min(width, height * ASPECT_RATIOS[1]), min(height, width / ASPECT_RATIOS[0])
    return (width - widest) / 2, (height - tallest) / 2, (width + widest) / 2, (height + tallest) / 2


def flip_horizontally(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Mirrors left and right with probability 1/2."""
    return image[:, ::-1] if generator.random() < 0.5 else image


def shift(image: np.ndarray, pixels: int, generator: np.random.Generator) -> np.ndarray:
    """Moves the image by up to `pixels` in each direction, uniformly, and fills with zeros: a padded random crop."""
    top, left = generator.integers(0, 2 * pixels + 1, size=2)
    height, width = image.shape[:2]
    padded = np.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)))
    return padded[top : top + height, left : left + width]

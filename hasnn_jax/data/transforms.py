"""Functions that choose the part of an image to use, and functions that augment its pixels.

The first kind takes the image's (width, height) and returns left, top, right, bottom. The second kind takes and returns
pixels, uint8 [H, W, C].
"""

import math

import numpy as np

from hasnn_jax.data.images import Box

ASPECT_RATIOS = (3 / 4, 4 / 3)
ERASED_SHARES = (0.02, 0.33)  # of the area
ERASED_RATIOS = (0.3, 3.3)  # height to width
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
    for _ in range(TRIES):
        wide, tall = _random_sides(width, height, (smallest, 1), ASPECT_RATIOS, generator)
        if 0 < wide <= width and 0 < tall <= height:
            left, top = int(generator.integers(0, width - wide + 1)), int(generator.integers(0, height - tall + 1))
            return left, top, left + wide, top + tall
    widest, tallest = min(width, height * ASPECT_RATIOS[1]), min(height, width / ASPECT_RATIOS[0])
    return (width - widest) / 2, (height - tallest) / 2, (width + widest) / 2, (height + tallest) / 2


def _random_sides(
    width: int,
    height: int,
    shares: tuple[float, float],
    ratios: tuple[float, float],
    generator: np.random.Generator,
) -> tuple[int, int]:
    """Two sides, in pixels, of a rectangle; the ratio of the first to the second is log-uniform between `ratios`.

    Its area is uniform between `shares` of width x height.
    """
    area = generator.uniform(shares[0], shares[1]) * width * height
    ratio = math.exp(generator.uniform(math.log(ratios[0]), math.log(ratios[1])))
    return round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))


def flip_horizontally(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Mirrors left and right with probability 1/2."""
    return image[:, ::-1] if generator.random() < 0.5 else image


def shift(image: np.ndarray, pixels: int, generator: np.random.Generator) -> np.ndarray:
    """Moves the image by up to `pixels` in each direction, uniformly, and fills with zeros: a padded random crop."""
    top, left = generator.integers(0, 2 * pixels + 1, size=2)
    height, width = image.shape[:2]
    # For small images np.pad would take longer than everything else that is done with them.
    padded = np.zeros((height + 2 * pixels, width + 2 * pixels, image.shape[2]), image.dtype)
    padded[pixels : pixels + height, pixels : pixels + width] = image
    return padded[top : top + height, left : left + width]


def erase(image: np.ndarray, probability: float, generator: np.random.Generator) -> np.ndarray:
    """With this probability, 0..1, blackens a random rectangle: random erasing (arXiv 1708.04896).

    Area and shape are as in torchvision's `RandomErasing`: the area is uniform between 0.02 and 0.33 times the image's,
    the height log-uniform between 0.3 and 3.3 times the width. A rectangle as wide or as high as the image is drawn
    again, and after ten such draws the image stays as it is. The paper fills with random values; torchvision's default
    is zero, as here.
    """
    if generator.random() >= probability:
        return image
    height, width = image.shape[:2]
    for _ in range(TRIES):
        tall, wide = _random_sides(width, height, ERASED_SHARES, ERASED_RATIOS, generator)
        if tall < height and wide < width:
            top, left = generator.integers(0, (height - tall + 1, width - wide + 1))
            erased = image.copy()
            erased[top : top + tall, left : left + wide] = 0
            return erased
    return image

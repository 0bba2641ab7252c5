"""What happens to one image before it is batched: uint8 [H, W, C] in, uint8 [H', W', C] out."""

import numpy as np
from PIL import Image


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes to `size` x `size` pixels, bilinear with antialiasing; an image of that size is returned as it is."""
    if image.shape[:2] == (size, size):
        return image
    squeezed = image[..., 0] if image.shape[-1] == 1 else image
    resized = np.asarray(Image.fromarray(squeezed).resize((size, size), Image.Resampling.BILINEAR))
    return resized.reshape(size, size, image.shape[-1])


def flip_horizontally(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Mirrors left and right with probability 1/2."""
    return image[:, ::-1] if generator.random() < 0.5 else image


def shift(image: np.ndarray, pixels: int, generator: np.random.Generator) -> np.ndarray:
    """Moves by up to `pixels` in each direction, uniformly, filling with zeros: a padded random crop."""
    top, left = generator.integers(0, 2 * pixels + 1, size=2)
    height, width = image.shape[:2]
    padded = np.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)))
    return padded[top : top + height, left : left + width]

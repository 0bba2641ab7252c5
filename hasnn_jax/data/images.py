"""Decodes image files: only the chosen part of an image, at about the size that is needed."""

import io
import math
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hasnn_jax.common.errors import InputError

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels of the upright image
Choose = Callable[[int, int], Box]  # (width, height) of the upright image -> the part of it to use
MAX_PIXELS = 1 << 26  # 67 million; a larger image is a mistake or an attack, and decoding it takes 200 MB and seconds
_ORIENTATION = 0x0112  # EXIF tag; values of 5 and above swap width and height


class UnreadableImageError(InputError):
    """An image that cannot be decoded; the message names it."""


def read_pixels(image: bytes | np.ndarray, size: int, choose: Choose, name: str) -> np.ndarray:
    """Reads a part of an image and resizes it to `size` x `size` pixels, bilinear with antialiasing.

    Args:
      image: the bytes of an image file, or uint8 [H, W, C] with 1 or 3 channels.
      size: height and width of the result.
      choose: (width, height) of the whole image -> left, top, right, bottom of the part.
      name: the image's name, for messages.

    Returns:
      uint8 [size, size, C]. For image files C is always 3: grey is repeated, CMYK is converted, of 16 bits the upper 8
      are kept, transparency and all frames but the first are dropped, and EXIF's rotation is applied.

    Raises:
      UnreadableImageError: the file is empty, truncated or not an image, or it has more than MAX_PIXELS pixels or
        32-bit values.
      InputError: an array is not uint8 [H, W, C].
    """
    if not isinstance(image, bytes):
        return _read_array(np.asarray(image), size, choose, name)
    if not image:
        raise UnreadableImageError(f"{name}: is empty; replace or remove it")
    try:
        return _read_file(image, size, choose)
    except UnreadableImageError as error:
        raise UnreadableImageError(f"{name}: {error}; replace or remove it") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImageError(f"{name}: has more than {MAX_PIXELS:,} pixels; scale it down or remove it") from None
    except Exception as error:  # Pillow raises many kinds of errors for a damaged file, even struct.error
        raise UnreadableImageError(f"{name}: {_not_an_image(error)}; replace or remove it") from None


def check_header(file: BinaryIO, name: str) -> None:
    """Raises UnreadableImageError if the start of a file shows that `read_pixels` would fail; decodes no pixels."""
    try:
        with Image.open(file) as image:
            width, height = image.size
    except Exception as error:  # Pillow raises many kinds of errors for a damaged header
        reason = _not_an_image(error) if file.seek(0, io.SEEK_END) else "is empty"
        raise UnreadableImageError(f"{name}: {reason}; replace or remove it") from None
    if not 0 < width * height <= MAX_PIXELS:
        raise UnreadableImageError(
            f"{name}: has {width} x {height} pixels; expected 1 to {MAX_PIXELS:,}; scale it down or remove it"
        )


def _not_an_image(error: Exception) -> str:
    unknown = isinstance(error, UnidentifiedImageError)  # whose text names a buffer in memory
    return f"cannot be read as an image ({'its format is not recognised' if unknown else error})"


def _read_array(image: np.ndarray, size: int, choose: Choose, name: str) -> np.ndarray:
    if image.ndim != 3 or image.dtype != np.uint8:
        raise InputError(f"{name}: expected uint8 [H, W, C], got {image.dtype} of shape {image.shape}")
    height, width, channels = image.shape
    box = choose(width, height)
    if (height, width) == (size, size) and box == (0, 0, size, size):
        return image
    squeezed = image[..., 0] if channels == 1 else image
    resized = Image.fromarray(squeezed).resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized).reshape(size, size, channels)


def _read_file(encoded: bytes, size: int, choose: Choose) -> np.ndarray:
    with Image.open(io.BytesIO(encoded)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        turned = image.getexif().get(_ORIENTATION, 1) >= 5
        whole = (image.height, image.width) if turned else image.size
        box = choose(*whole)
        wide, high = (math.ceil(full * size / max(part, 1)) for full, part in zip(whole, _extent(box), strict=True))
        image.draft(None, (high, wide) if turned else (wide, high))  # JPEG only: decodes at 1/2, 1/4 or 1/8
        upright = ImageOps.exif_transpose(image)
        pixels = _rgb(upright)
    if pixels.size == (size, size) and box == (0, 0, *whole):
        return np.asarray(pixels)
    scale_x, scale_y = pixels.width / whole[0], pixels.height / whole[1]
    scaled = (box[0] * scale_x, box[1] * scale_y, box[2] * scale_x, box[3] * scale_y)
    return np.asarray(pixels.resize((size, size), Image.Resampling.BILINEAR, box=scaled))


def _extent(box: Box) -> tuple[float, float]:
    return box[2] - box[0], box[3] - box[1]


def _rgb(image: Any) -> Image.Image:
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(np.repeat(grey[..., None], 3, axis=-1))
    if image.mode in ("I", "F"):
        raise UnreadableImageError(f"has values of 32 bits (mode {image.mode}), expected 8 or 16")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")

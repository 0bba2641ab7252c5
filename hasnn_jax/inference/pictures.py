"""Pictures to classify: found by name, and prepared as the model's evaluation prepares its images."""

import io
import pathlib
import sys
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image

from hasnn_jax.common.errors import InputError
from hasnn_jax.data.folder_index import SUFFIXES
from hasnn_jax.data.images import UnreadableImageError
from hasnn_jax.inference.loaded_model import LoadedModel

STANDARD_INPUT = "-"
SMALLEST = 2  # pixels a side: one pixel shows nothing


def find_pictures(names: Iterable[str]) -> list[str]:
    """The image files that names stand for: files, all images in a folder and below it, or "-" for standard input.

    Raises:
      InputError: a name stands for nothing, a folder has no images, or "-" is there twice.
    """
    found: list[str] = []
    for name in names:
        path = pathlib.Path(name).expanduser()
        if name == STANDARD_INPUT and name in found:
            raise InputError("-: standard input holds one image; name it once")
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            if not inside:
                raise InputError(f"{name}: is a folder without images; expected files such as *.jpg or *.png")
            found += map(str, inside)
        elif name == STANDARD_INPUT or path.is_file():
            found.append(name)
        else:
            raise InputError(f"{name}: no such image or folder")
    return found


def read_picture(name: str, model: LoadedModel) -> np.ndarray:
    """Reads a picture and brings it to the model's size and channels: uint8 `model.image_shape`.

    A model of grey images gets coloured ones as their luminance.

    Raises:
      UnreadableImageError: the file cannot be read or decoded, or has a side of one pixel.
    """
    try:
        encoded = sys.stdin.buffer.read() if name == STANDARD_INPUT else pathlib.Path(name).expanduser().read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"{name}: cannot be read ({error.strerror})") from None
    title = "standard input" if name == STANDARD_INPUT else name
    pixels = model.preprocessing.for_evaluation({"image": encoded, "name": title})
    with Image.open(io.BytesIO(encoded)) as image:
        if min(image.size) < SMALLEST:
            raise UnreadableImageError(
                f"{title}: has {image.width} x {image.height} pixels; expected {SMALLEST} or more a side"
            )
    if model.image_shape[-1] == 1:
        return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
    return pixels


def read_pictures(
    names: Iterable[str], model: LoadedModel, unreadable: Callable[[UnreadableImageError], object]
) -> tuple[list[str], np.ndarray]:
    """Reads several pictures; `unreadable` gets the error of each that cannot be read, which is left out.

    Returns:
      (the names of the others, their pixels: uint8 [B, H, W, C]).
    """
    found: dict[str, np.ndarray] = {}
    for name in names:
        try:
            found[name] = read_picture(name, model)
        except UnreadableImageError as error:
            unreadable(error)
    return list(found), np.reshape(list(found.values()), (-1, *model.image_shape)).astype(np.uint8)

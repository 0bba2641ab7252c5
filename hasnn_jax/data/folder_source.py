"""Class folders: `train/<class>/*.jpg` beside `val/` or `test/`, or one tree of classes that is split here."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from hasnn_jax.data.sources import Source
from hasnn_jax.data.split import stratified_split
from hasnn_jax.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"})
TEST_FOLDERS = ("test", "val")
SPLIT_SEED = 0


class FolderSplit:
    """Image files and their labels; images decode to RGB, uint8 [H, W, 3]."""

    def __init__(self, files: Sequence[pathlib.Path], labels: Sequence[int]):
        self._files, self._labels = list(files), list(labels)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: Any) -> dict[str, Any]:
        path = self._files[int(index)]
        try:
            with Image.open(path) as image:
                pixels = _rgb(image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InputError(f"{path}: cannot be read as an image ({error}); replace or remove it") from None
        return {"image": pixels, "label": np.int32(self._labels[int(index)])}


def open_folder(data_dir: str, exclude: Sequence[str] = (), test_fraction: float = 0.2, how_to_get: str = "") -> Source:
    """Opens a tree of class folders.

    Args:
      data_dir: holds `train/` and `test/` or `val/`, or else one folder a class.
      exclude: class folders to leave out, for example "BACKGROUND_Google".
      test_fraction: of each class, where there is one tree only.
      how_to_get: said where the folder does not exist.

    Raises:
      InputError: the folder is missing or has no class folders, a class is too small to split, or the classes of the
        two splits differ.
    """
    root = pathlib.Path(data_dir).expanduser()
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; {how_to_get or 'name the folder with --config.data.data_dir=...'}")
    test_root = next((root / name for name in TEST_FOLDERS if (root / name).is_dir()), None)
    if (root / "train").is_dir() and test_root is not None:
        trees = [_class_files(tree, exclude) for tree in (root / "train", test_root)]
        if trees[0].keys() != trees[1].keys():
            odd = sorted(trees[0].keys() ^ trees[1].keys())
            raise InputError(f"{root}: classes in one split only: {', '.join(odd[:5])}; both need the same folders")
        splits = [_labelled(tree) for tree in trees]
    else:
        if (root / "train").is_dir() and any(child.is_dir() for child in (root / "train").iterdir()):
            raise InputError(f"{root}: has train/ but neither test/ nor val/; add test/ or val/, with the same classes")
        tree = _class_files(root, exclude)
        for name, files in tree.items():
            if len(files) < 2:
                raise InputError(f"{root / name}: {len(files)} image; a class needs at least two to be split")
        files, labels = _labelled(tree)
        splits = [
            ([files[i] for i in indices], [labels[i] for i in indices])
            for indices in stratified_split(np.asarray(labels), test_fraction, SPLIT_SEED)
        ]
        trees = [tree]
    return Source(root.name, tuple(trees[0]), *(FolderSplit(*split) for split in splits))


def _rgb(image: Image.Image) -> np.ndarray:
    """uint8 [H, W, 3]; transparency is dropped, 16-bit grey keeps its upper byte."""
    if image.mode.startswith("I;16"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=-1)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def _class_files(root: pathlib.Path, exclude: Sequence[str]) -> dict[str, list[pathlib.Path]]:
    """Class name to its image files, both in sorted order."""
    folders = sorted(p for p in root.iterdir() if p.is_dir() and p.name not in exclude and not p.name.startswith("."))
    classes = {
        folder.name: sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
        for folder in folders
    }
    empty = [name for name, files in classes.items() if not files]
    if not classes or empty:
        found = f"no images in {', '.join(empty[:5])}" if empty else "no class folders"
        raise InputError(f"{root}: {found}; expected one folder of images a class")
    return classes


def _labelled(tree: dict[str, list[pathlib.Path]]) -> tuple[list[pathlib.Path], list[int]]:
    files = [file for members in tree.values() for file in members]
    labels = [label for label, members in enumerate(tree.values()) for _ in members]
    return files, labels

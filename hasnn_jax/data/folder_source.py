"""Class folders: `train/<class>/*.jpg` beside `val/` or `test/`, or one tree of classes that is split here."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hasnn_jax.data.folder_index import FolderIndex, index_folder
from hasnn_jax.data.images import UnreadableImageError, check_header
from hasnn_jax.data.sources import Source
from hasnn_jax.data.split import stratified_split
from hasnn_jax.errors import InputError

TEST_FOLDERS = ("test", "val")
SPLIT_SEED = 0


@dataclasses.dataclass(frozen=True)
class FolderSplit:
    """Image files, as bytes, and their labels.

    Attributes:
      index: the tree's files.
      members: which of them, in order; None for all.
    """

    index: FolderIndex
    members: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.index) if self.members is None else len(self.members)

    def __getitem__(self, position: Any) -> dict[str, Any]:
        path, label = self._file(position)
        with _named(path):
            return {"image": path.read_bytes(), "label": np.int32(label), "name": str(path)}

    def outline(self, position: int) -> tuple[str, int, int]:
        """Name, label and size in bytes of an example, from the start of its file, which is checked."""
        path, label = self._file(position)
        with _named(path), path.open("rb") as file:
            check_header(file, str(path))
            return str(path), label, path.stat().st_size

    def _file(self, position: Any) -> tuple[pathlib.Path, int]:
        file = int(position if self.members is None else self.members[position])
        return self.index.path(file), self.index.label(file)


@contextlib.contextmanager
def _named(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableImageError(f"{path}: cannot be read ({error.strerror}); put it back") from None


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
    test_name = next((name for name in TEST_FOLDERS if (root / name).is_dir()), None)
    if (root / "train").is_dir() and test_name is not None:
        train, test = index_folder(root / "train", exclude), index_folder(root / test_name, exclude)
        if odd := sorted(set(train.classes) ^ set(test.classes)):
            raise InputError(f"{root}: classes in one split only: {', '.join(odd[:5])}; both need the same folders")
        splits, names, others = (
            (FolderSplit(train), FolderSplit(test)),
            ("train", test_name),
            train.others + test.others,
        )
    else:
        if (root / "train").is_dir() and any(child.is_dir() for child in (root / "train").iterdir()):
            raise InputError(f"{root}: has train/ but neither test/ nor val/; add test/ or val/, with the same classes")
        index = index_folder(root, exclude)
        for name, count in zip(index.classes, index.counts, strict=True):
            if count < 2:
                raise InputError(f"{root / name}: {count} image; a class needs at least two to be split")
        labels = np.repeat(np.arange(len(index.classes)), index.counts)
        members = stratified_split(labels, test_fraction, SPLIT_SEED)
        splits = (FolderSplit(index, members[0]), FolderSplit(index, members[1]))
        names, others, train = ("train", "test"), index.others, index
    remarks = (f"{others:,} files that are no images by their name were passed over",) if others else ()
    return Source(root.name, train.classes, *splits, split_names=names, remarks=remarks)

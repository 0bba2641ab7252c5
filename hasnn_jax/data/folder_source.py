"""Class folders: `train/<class>/*.jpg` and `val/` or `test/`, or one tree of class folders that is split here."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hasnn_jax.common.errors import InputError
from hasnn_jax.data.folder_index import FolderIndex, index_folder
from hasnn_jax.data.images import UnreadableImageError, check_header
from hasnn_jax.data.sources import Source
from hasnn_jax.data.split import stratified_split

TEST_FOLDERS = ("test", "val")
SPLIT_SEED = 0


@dataclasses.dataclass(frozen=True)
class FolderSplit:
    """Image files and their labels; images are the bytes of the files.

    Attributes:
      index: the files of the tree.
      members: the indices of this split's files; None: all files.
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
        """Name, label and size in bytes of an example; checks the start of its file without reading the rest."""
        path, label = self._file(position)
        with _named(path), path.open("rb") as file:
            check_header(file, str(path))
            return str(path), label, path.stat().st_size

    def _file(self, position: Any) -> tuple[pathlib.Path, int]:
        file = int(position if self.members is None else self.members[position])
        return self.index.path(file), self.index.label(file)


@contextlib.contextmanager
def _named(path: pathlib.Path) -> Iterator[None]:
    """Turns an error of reading a file into one with the file's path."""
    try:
        yield
    except OSError as error:
        raise UnreadableImageError(f"{path}: cannot be read ({error.strerror}); put it back") from None


def open_folder(data_dir: str, exclude: Sequence[str] = (), test_fraction: float = 0.2, how_to_get: str = "") -> Source:
    """Opens a tree of class folders.

    Args:
      data_dir: contains `train/` and `test/` or `val/`; or else one folder per class.
      exclude: class folders to leave out, for example "BACKGROUND_Google".
      test_fraction: the share of each class that becomes the test split, if there is only one tree.
      how_to_get: how to get the data, for the message when the folder does not exist.

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
            raise InputError(
                f"{root}: classes in only one of the splits: {', '.join(odd[:5])}; both need the same folders"
            )
        splits = (FolderSplit(train), FolderSplit(test))
        classes, names, skipped = train.classes, ("train", test_name), train.skipped + test.skipped
    else:
        if (root / "train").is_dir() and any(child.is_dir() for child in (root / "train").iterdir()):
            raise InputError(f"{root}: has train/ but neither test/ nor val/; add test/ or val/, with the same classes")
        index = index_folder(root, exclude)
        for name, count in zip(index.classes, index.counts, strict=True):
            if count < 2:
                raise InputError(f"{root / name}: {count} image; a class needs at least two images to be split")
        labels = np.repeat(np.arange(len(index.classes)), index.counts)
        members = stratified_split(labels, test_fraction, SPLIT_SEED)
        splits = (FolderSplit(index, members[0]), FolderSplit(index, members[1]))
        classes, names, skipped = index.classes, ("train", "test"), index.skipped
    remarks = (f"skipped {skipped:,} files that are hidden or do not have the name of an image",) if skipped else ()
    return Source(root.name, classes, *splits, split_names=names, remarks=remarks)

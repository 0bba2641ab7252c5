"""An index of the image files in a tree of class folders: compact in memory, and cached between runs."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from hasnn_jax.common.console import say
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.files import replacing

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
CACHED_FROM = 10_000  # files; listing a smaller tree again is quicker than reading the cache
SECONDS_BETWEEN_REPORTS = 5.0


@dataclasses.dataclass(frozen=True)
class FolderIndex:
    """The files by number, sorted by class and then by name. A file takes about 20 bytes of memory.

    Attributes:
      root: the tree.
      classes: the names of its class folders, sorted.
      starts: the number of each class's first file, then the number of all files: int64 [classes + 1].
      names: all file names as bytes, concatenated: uint8 [bytes].
      ends: where each name ends in `names`: int64 [files].
      skipped: how many files were skipped because they are hidden or do not have the name of an image.
    """

    root: pathlib.Path
    classes: tuple[str, ...]
    starts: np.ndarray
    names: np.ndarray
    ends: np.ndarray
    skipped: int

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def counts(self) -> np.ndarray:
        """The number of files in each class: int64 [classes]."""
        return np.diff(self.starts)

    def label(self, index: int) -> int:
        """The number of the class that a file belongs to."""
        return int(np.searchsorted(self.starts, index, side="right")) - 1

    def path(self, index: int) -> pathlib.Path:
        """The path of a file."""
        start = self.ends[index - 1] if index else 0
        name = os.fsdecode(self.names[start : self.ends[index]].tobytes())
        return self.root / self.classes[self.label(index)] / name


def index_folder(root: pathlib.Path, exclude: Sequence[str] = ()) -> FolderIndex:
    """Indexes a tree, or loads its index from the cache if none of its folders has changed.

    Args:
      root: contains one folder per class.
      exclude: class folders to leave out.

    Raises:
      InputError: there are no class folders, or one has no images.
    """
    folders = sorted(
        entry.name
        for entry in os.scandir(root)
        if entry.is_dir() and entry.name not in exclude and not entry.name.startswith(".")
    )
    stamp = [[name, (root / name).stat().st_mtime_ns] for name in folders]
    file = _cache_file(root)
    if (cached := _load(file, root, stamp)) is not None:
        return cached
    index = build_index(root, ((name, _listing(root / name)) for name in folders))
    if len(index) >= CACHED_FROM:
        _save(file, index, stamp)
    return index


def build_index(root: pathlib.Path, listings: Iterable[tuple[str, Iterable[str]]]) -> FolderIndex:
    """Builds an index. To save memory, only one class's names at a time are kept as text.

    Args:
      root: the tree.
      listings: pairs (class, its file names in any order), sorted by class.

    Raises:
      InputError: there are no classes, or one has no images.
    """
    classes: list[str] = []
    empty: list[str] = []
    starts, skipped = [0], 0
    blobs: list[bytes] = []
    ends: list[np.ndarray] = []
    end, reported = 0, time.monotonic()
    for name, listing in listings:
        images = []
        for file in listing:
            if file.lower().endswith(SUFFIXES) and not file.startswith("."):
                images.append(os.fsencode(file))
            else:
                skipped += 1
        images.sort()
        classes.append(name)
        if not images:
            empty.append(name)
        lengths = np.fromiter(map(len, images), np.int64, len(images))
        ends.append(end + np.cumsum(lengths))
        blobs.append(b"".join(images))
        end += int(lengths.sum())
        starts.append(starts[-1] + len(images))
        if time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            say(f"{root}: {starts[-1]:,} images found in {len(classes):,} classes")
    if empty or not classes:
        found = f"no images in {', '.join(empty[:5])}" if empty else "no class folders"
        raise InputError(f"{root}: {found}; expected one folder of images per class")
    joined = np.frombuffer(b"".join(blobs), np.uint8)
    return FolderIndex(root, tuple(classes), np.array(starts), joined, np.concatenate(ends), skipped)


def _listing(folder: pathlib.Path) -> Iterator[str]:
    """Yields the names of the files in a folder, in any order."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                yield entry.name


def _cache_file(root: pathlib.Path) -> pathlib.Path:
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "hasnn_jax" / "folders" / f"{hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:32]}.npz"


def _load(file: pathlib.Path, root: pathlib.Path, stamp: list) -> FolderIndex | None:
    """The cached index; None if there is none or the tree's folders have changed since."""
    try:
        with file.open("rb") as stream, np.load(stream) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about["stamp"] != stamp:
                return None
            classes = tuple(name for name, _ in stamp)
            return FolderIndex(root, classes, arrays["starts"], arrays["names"], arrays["ends"], about["others"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # missing or damaged: list the tree again
        return None


def _save(file: pathlib.Path, index: FolderIndex, stamp: list) -> None:
    about = np.frombuffer(json.dumps({"stamp": stamp, "others": index.skipped}).encode(), np.uint8)
    # If the home folder is full or read-only, the next run simply lists the tree again. Processes that save the same
    # index at the same time write the same bytes, and `_load` ignores a file that is not complete.
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, about=about, starts=index.starts, names=index.names, ends=index.ends)

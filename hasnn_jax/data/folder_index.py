"""The image files of a tree of class folders: found by streaming, kept compactly, remembered between runs."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from hasnn_jax.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
REMEMBERED_FROM = 10_000  # files; a smaller tree is quicker listed than looked up
SECONDS_BETWEEN_REPORTS = 5.0


@dataclasses.dataclass(frozen=True)
class FolderIndex:
    """Files by number, in the order of classes and of names within; some 20 bytes a file, however long the list.

    Attributes:
      root: the tree.
      classes: names of its class folders, sorted.
      starts: where each class's files start, and the number of files: int64 [classes + 1].
      names: all file names, one after the other in UTF-8: uint8.
      ends: where each name ends in `names`: int64 [files].
      others: how many files were passed over, as no images by their name.
    """

    root: pathlib.Path
    classes: tuple[str, ...]
    starts: np.ndarray
    names: np.ndarray
    ends: np.ndarray
    others: int

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def counts(self) -> np.ndarray:
        """Files of each class."""
        return np.diff(self.starts)

    def label(self, index: int) -> int:
        """Number of the class that a file belongs to."""
        return int(np.searchsorted(self.starts, index, side="right")) - 1

    def path(self, index: int) -> pathlib.Path:
        """Where a file is."""
        start = self.ends[index - 1] if index else 0
        name = os.fsdecode(self.names[start : self.ends[index]].tobytes())
        return self.root / self.classes[self.label(index)] / name


def index_folder(root: pathlib.Path, exclude: Sequence[str] = ()) -> FolderIndex:
    """The index of a tree, listed now, or remembered if none of its folders has changed since.

    Raises:
      InputError: it has no class folders, or one without images.
    """
    folders = sorted(
        entry.name
        for entry in os.scandir(root)
        if entry.is_dir() and entry.name not in exclude and not entry.name.startswith(".")
    )
    stamp = [[name, (root / name).stat().st_mtime_ns] for name in folders]
    file = _memory_of(root)
    if (remembered := _recall(file, root, stamp)) is not None:
        return remembered
    index = build_index(root, ((name, _listing(root / name)) for name in folders))
    if len(index) >= REMEMBERED_FROM:
        _remember(file, index, stamp)
    return index


def build_index(root: pathlib.Path, listings: Iterable[tuple[str, Iterable[str]]]) -> FolderIndex:
    """An index from (class, file names in any order) pairs; only one class's names at a time are held as text.

    Raises:
      InputError: there are no classes, or one has no images.
    """
    classes: list[str] = []
    empty: list[str] = []
    starts, others = [0], 0
    blobs: list[bytes] = []
    ends: list[np.ndarray] = []
    end, reported = 0, time.monotonic()
    for name, listing in listings:
        images, passed_over = [], 0
        for file in listing:
            if file.lower().endswith(SUFFIXES) and not file.startswith("."):
                images.append(os.fsencode(file))
            else:
                passed_over += 1
        images.sort()
        classes.append(name)
        others += passed_over
        if not images:
            empty.append(name)
        lengths = np.fromiter(map(len, images), np.int64, len(images))
        ends.append(end + np.cumsum(lengths))
        blobs.append(b"".join(images))
        end += int(lengths.sum())
        starts.append(starts[-1] + len(images))
        if time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            print(f"{root}: {starts[-1]:,} images found in {len(classes):,} classes", file=sys.stderr, flush=True)
    if empty or not classes:
        found = f"no images in {', '.join(empty[:5])}" if empty else "no class folders"
        raise InputError(f"{root}: {found}; expected one folder of images a class")
    joined = np.frombuffer(b"".join(blobs), np.uint8)
    return FolderIndex(root, tuple(classes), np.array(starts), joined, np.concatenate(ends), others)


def _listing(folder: pathlib.Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                yield entry.name


def _memory_of(root: pathlib.Path) -> pathlib.Path:
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "hasnn_jax" / "folders" / f"{hashlib.sha256(str(root.absolute()).encode()).hexdigest()[:32]}.npz"


def _recall(file: pathlib.Path, root: pathlib.Path, stamp: list) -> FolderIndex | None:
    """The remembered index; None where there is none, or the tree's folders are no longer those of then."""
    try:
        with file.open("rb") as stream, np.load(stream) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about["stamp"] != stamp:
                return None
            classes = tuple(name for name, _ in stamp)
            return FolderIndex(root, classes, arrays["starts"], arrays["names"], arrays["ends"], others=about["others"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # missing or damaged: it is only a memory
        return None


def _remember(file: pathlib.Path, index: FolderIndex, stamp: list) -> None:
    about = np.frombuffer(json.dumps({"stamp": stamp, "others": index.others}).encode(), np.uint8)
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp.npz")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(temporary, about=about, starts=index.starts, names=index.names, ends=index.ends)
        os.replace(temporary, file)
    except OSError:  # a full or read-only home only means that the next run lists the folders again
        with contextlib.suppress(OSError):
            temporary.unlink()

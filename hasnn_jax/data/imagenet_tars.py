"""ImageNet (ILSVRC 2012), read directly from its two downloaded archives without unpacking them."""

import os
import pathlib
import re
import tarfile
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from hasnn_jax.common.errors import InputError
from hasnn_jax.data.sources import Report, Source, no_report
from hasnn_jax.data.tfds_import import import_tfds

TRAIN_TAR = "ILSVRC2012_img_train.tar"
VALIDATION_TAR = "ILSVRC2012_img_val.tar"
_WEBSITE = "https://image-net.org/download-images (an account is needed)"
_DOWNLOAD_AGAIN = f"download it again from {_WEBSITE}"


class _File(NamedTuple):
    """A file in an archive, and where its bytes are in it."""

    name: str
    offset: int
    size: int


class TarSplit:
    """Image files in a tar archive, and their labels. The archive is opened again for each file that is read.

    Attributes:
      path: the archive.
      names: the names of the files in it.
      offsets, sizes: where the bytes of each file are, int64 [N].
      labels: int32 [N].
    """

    def __init__(self, path: pathlib.Path, files: Sequence[_File], labels: Sequence[int]):
        self.path = path
        self.names = [file.name for file in files]
        self.offsets = np.asarray([file.offset for file in files], np.int64)
        self.sizes = np.asarray([file.size for file in files], np.int64)
        self.labels = np.asarray(labels, np.int32)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: Any) -> dict[str, Any]:
        name, label, size = self.outline(index)
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offsets[index])
            image = file.read(size)
        if len(image) != size:
            raise InputError(f"{name}: the archive ended after {len(image)} of {size} bytes; {_DOWNLOAD_AGAIN}")
        return {"image": image, "label": np.int32(label), "name": name}

    def outline(self, index: Any) -> tuple[str, int, int]:
        """Name, label and size in bytes of a file, without reading it."""
        return f"{self.path}/{self.names[index]}", int(self.labels[index]), int(self.sizes[index])


def open_imagenet_tars(
    folder: str | os.PathLike[str],
    *,
    synsets: Sequence[str] | None = None,
    validation_synsets: Sequence[str] | None = None,
    on_progress: Report = no_report,
) -> Source:
    """Opens the training and the validation archive; the validation images become the test split.

    It reads only the headers in the archives, which still takes a minute or two for 1.3 million files.

    Args:
      folder: contains ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar.
      synsets: the classes, such as "n01440764", in the order of their labels; by default the list in
        tensorflow-datasets.
      validation_synsets: the class of each validation image, in the order of the images' names; by default the list in
        tensorflow-datasets.
      on_progress: called after every class of the training archive.

    Raises:
      InputError: an archive is missing or truncated or has unexpected content; or a default list is needed and
        tensorflow-datasets is not installed.
    """
    root = pathlib.Path(folder).expanduser()
    synsets = tuple(synsets if synsets is not None else _shipped("labels.txt"))
    truth = tuple(validation_synsets if validation_synsets is not None else _shipped("validation_labels.txt"))
    labels = {synset: label for label, synset in enumerate(synsets)}
    archives = [_existing(root / name) for name in (TRAIN_TAR, VALIDATION_TAR)]
    test = _validation_split(archives[1], [labels[synset] for synset in truth])
    return Source("imagenet2012", synsets, _train_split(archives[0], labels, on_progress), test)


def _shipped(name: str) -> list[str]:
    """The lines of a file about ImageNet that comes with tensorflow-datasets."""
    tfds = import_tfds("imagenet2012:")
    return (tfds.core.tfds_path() / "datasets" / "imagenet2012" / name).read_text().split()


def _existing(path: pathlib.Path) -> pathlib.Path:
    if not path.is_file():
        raise InputError(f"{path}: no such archive; download it from {_WEBSITE} and put it there")
    return path


def _train_split(path: pathlib.Path, labels: dict[str, int], on_progress: Report) -> TarSplit:
    """Reads an archive that contains one archive per class; the images are ordered by class."""
    classes: dict[str, list[_File]] = {}
    with path.open("rb") as stream:
        for archive in _files(stream, 0, str(path)):
            synset = archive.name.removesuffix(".tar")
            if archive.name != f"{synset}.tar" or synset not in labels:
                known = next(iter(labels))
                raise InputError(
                    f"{path}: contains {archive.name!r}; expected one archive per class, such as {known}.tar"
                )
            classes[synset] = _images(stream, archive.offset, synset, f"{path}/{archive.name}")
            on_progress("indexing classes", len(classes), len(labels))
    missing = [synset for synset in labels if synset not in classes]
    if missing:
        found = f"only {len(classes)} of {len(labels)} classes; {missing[0]}.tar is missing"
        raise InputError(f"{path}: contains {found}; {_DOWNLOAD_AGAIN}")
    files = [file for synset in labels for file in classes[synset]]
    return TarSplit(path, files, [label for synset, label in labels.items() for _ in classes[synset]])


def _images(stream: IO[bytes], start: int, synset: str, where: str) -> list[_File]:
    images = []
    for file in _files(stream, start, where):
        if not re.fullmatch(rf"{synset}_\d+\.JPEG", file.name):
            raise InputError(f"{where}: contains {file.name!r}; expected images named like {synset}_1.JPEG")
        images.append(file._replace(name=f"{synset}.tar/{file.name}"))
    return images


def _validation_split(path: pathlib.Path, labels: Sequence[int]) -> TarSplit:
    """Reads a flat archive of images; `labels` are in the order of the images' names."""
    with path.open("rb") as stream:
        files = sorted(_files(stream, 0, str(path)))
    expected = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, len(labels) + 1)]
    if [file.name for file in files] != expected:
        odd = sorted({file.name for file in files} - set(expected))
        raise InputError(
            f"{path}: contains {len(files)} files{f', such as {odd[0]!r}' if odd else ''}; expected {len(expected)}, "
            f"{expected[0]} to {expected[-1]}; {_DOWNLOAD_AGAIN}"
        )
    return TarSplit(path, files, labels)


def _files(stream: IO[bytes], start: int, where: str) -> Iterator[_File]:
    """Yields the files of an archive that begins at offset `start`, from its headers."""
    stream.seek(start)
    try:
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                if not member.isfile():
                    raise InputError(f"{where}: contains {member.name!r}, which is not a file; expected only files")
                yield _File(member.name, member.offset_data, member.size)
            stream.seek(tar.offset)
            if stream.read(tarfile.BLOCKSIZE) != bytes(
                tarfile.BLOCKSIZE
            ):  # zeros end an archive; tarfile does not check
                raise tarfile.ReadError("its end is missing")
    except tarfile.TarError as error:
        raise InputError(f"{where}: is truncated or damaged ({error}); {_DOWNLOAD_AGAIN}") from None

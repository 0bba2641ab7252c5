"""Records of labelled images, and ArrayRecord files of them that are read back after they are written."""

import contextlib
import hashlib
import importlib
import io
import pathlib
from collections.abc import Iterable
from typing import Any

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.files import replacing
from hasnn_jax.data.sources import Source
from hasnn_jax.data.tfds_import import import_tfds

_WRITER_OPTIONS = "group_size:1,uncompressed"  # one record can be read alone; image files are compressed already


class Serializer:
    """Turns an example into a record. Equal examples give equal bytes, unlike in TFDS's own function for it.

    Attributes:
      features: the TFDS description of an example.

    Raises:
      InputError: the source's name is not valid for TFDS, or tensorflow-datasets is not installed.
    """

    def __init__(self, source: Source):
        tfds = import_tfds("writing")
        if not tfds.core.naming.is_valid_dataset_name(source.name):
            raise InputError(f"{source.name}: expected a name of letters, digits and '_' that begins with a letter")
        label = tfds.features.ClassLabel(names=source.classes)
        self.features = tfds.features.FeaturesDict(
            {"image": tfds.features.Image(shape=(None, None, 3)), "label": label}
        )
        self._serializer = tfds.core.example_serializer.ExampleSerializer(self.features.get_serialized_info())

    def __call__(self, image: bytes, label: int) -> bytes:
        """The record of an image file and its label."""
        encoded = self.features.encode_example({"image": io.BytesIO(image), "label": label})
        return self._serializer.get_tf_example(encoded).SerializeToString(deterministic=True)


def write_records(path: pathlib.Path, records: Iterable[bytes]) -> dict[str, Any]:
    """Writes an ArrayRecord file and reads it back; a file named `path` is always complete.

    Returns:
      {"records": their number, "bytes": their total size, "sha256": digest of the file}.

    Raises:
      InputError: what was read back differs from what was written.
    """
    tally = _Tally()
    with replacing(path) as temporary:
        with contextlib.closing(_array_record().ArrayRecordWriter(str(temporary), _WRITER_OPTIONS)) as writer:
            for record in records:
                writer.write(record)
                tally.add(record)
        if not _holds(temporary, tally):
            raise InputError(f"{path}: differs from what was written; check the disk, then run the same command again")
        digest = file_digest(temporary)
    return {"records": tally.records, "bytes": tally.bytes, "sha256": digest}


def file_digest(path: pathlib.Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Tally:
    """Counts and hashes records, one at a time."""

    def __init__(self) -> None:
        self.records, self.bytes, self._hash = 0, 0, hashlib.sha256()

    def add(self, record: bytes) -> None:
        self.records += 1
        self.bytes += len(record)
        self._hash.update(len(record).to_bytes(8, "big"))
        self._hash.update(record)

    def digest(self) -> str:
        return self._hash.hexdigest()


def _holds(path: pathlib.Path, tally: _Tally) -> bool:
    """Whether a file holds exactly the records that were counted."""
    found = _Tally()
    try:
        with contextlib.closing(_array_record().ArrayRecordReader(str(path))) as reader:
            for _ in range(reader.num_records()):
                found.add(reader.read())
    except (RuntimeError, ValueError, IndexError):  # the reader raises these for a damaged file
        return False
    return found.digest() == tally.digest()


def _array_record() -> Any:
    """The module that reads and writes the files; it is installed with tensorflow-datasets."""
    return importlib.import_module("array_record.python.array_record_module")

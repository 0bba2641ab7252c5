"""A `Source` written as a data set that TensorFlow Datasets reads: ArrayRecord files, made without TensorFlow.

The data set grows in the folder `<version>.incomplete` and gets its name, `<version>`, in the last step: whatever ends
the work before, nothing is left that reads as complete. `shards.json` says which shards there are to be and which are
written, so that the same call goes on where it was stopped; it stays in the data set.
"""

import contextlib
import dataclasses
import errno
import hashlib
import importlib
import io
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hasnn_jax.data.images import UnreadableImageError, check_header
from hasnn_jax.data.sources import Source, Split
from hasnn_jax.errors import InputError
from hasnn_jax.lock import held

Report = Callable[[str, int, int], None]  # (what is being done, images done, images in all)
SHARD_BYTES = 1 << 27
SHARDS_FILE = "shards.json"
NAMED_AT_MOST = 5
_COMPLETE = "dataset_info.json"
_WRITER_OPTIONS = "group_size:1,uncompressed"  # one record can be read alone; image files are compressed already
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_array_records(
    source: Source,
    data_dir: str | os.PathLike[str],
    *,
    version: str = "1.0.0",
    examples_per_shard: int | None = None,
    on_progress: Report = lambda doing, done, total: None,
) -> pathlib.Path:
    """Writes the data set `<data_dir>/<source.name>/<version>`, or goes on writing it.

    Record i of the split "train" holds the image file of `source.train[i]`, unchanged, and its label; likewise "test".
    Every shard is read back and compared; those of an earlier call are checked before they are kept.

    Args:
      source: its images must be the bytes of image files. A split may have a method `outline(i)` that tells name, label
        and size of image i without reading it; otherwise all images are read and checked before the first is written,
        so that a bad one is not found late.
      data_dir: the folder of all data sets.
      version: three numbers.
      examples_per_shard: at most so many; by default as many as make a shard of about SHARD_BYTES.
      on_progress: called after every image.

    Returns:
      The folder of the data set.

    Raises:
      InputError: the data set is there already, an image cannot be read, the work was begun with other data, the disk
        is full, another process is writing the same data set, or tensorflow-datasets is not installed.
    """
    folder = pathlib.Path(data_dir).expanduser() / source.name / version
    unfinished = folder.with_name(f"{version}.incomplete")
    _check_target(folder)
    serialize = _Serializer(source)
    splits = {"train": source.train, "test": source.test}
    plan = _make_plan(source, splits, examples_per_shard, on_progress)
    with _full_disk_told(unfinished):
        unfinished.mkdir(parents=True, exist_ok=True)
        with held(unfinished, f"{unfinished}: another process is writing here; wait for it, or end it"):
            written = _write_shards(unfinished, plan, splits, serialize, on_progress)
            _write_metadata(unfinished, version, plan, written, serialize.features)
            unfinished.rename(folder)
            _sync(folder.parent)
    return folder


@dataclasses.dataclass(frozen=True)
class _Shard:
    """Examples `start` to `stop` (exclusive) of a split, and the file that holds them."""

    split: str
    start: int
    stop: int
    file: str


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What is to be written.

    Attributes:
      fingerprint: of all names, labels, sizes and class names; tells other data from these.
      class_counts: split to the number of its images of each class.
      shards: in the order in which they are written.
    """

    fingerprint: str
    class_counts: dict[str, list[int]]
    shards: list[_Shard]

    @property
    def examples(self) -> int:
        return sum(shard.stop - shard.start for shard in self.shards)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


class _Tally:
    """Counts and digests records, one by one."""

    def __init__(self) -> None:
        self.records, self.bytes, self._hash = 0, 0, hashlib.sha256()

    def add(self, record: bytes) -> None:
        self.records += 1
        self.bytes += len(record)
        self._hash.update(len(record).to_bytes(8, "big"))
        self._hash.update(record)

    def digest(self) -> str:
        return self._hash.hexdigest()


class _Serializer:
    """Example to record. Equal examples give equal bytes, which TFDS's own `serialize_example` does not promise."""

    def __init__(self, source: Source):
        tfds = _tfds()
        if not tfds.core.naming.is_valid_dataset_name(source.name):
            raise InputError(f"{source.name}: expected a name of letters, digits and '_' that begins with a letter")
        label = tfds.features.ClassLabel(names=source.classes)
        self.features = tfds.features.FeaturesDict(
            {"image": tfds.features.Image(shape=(None, None, 3)), "label": label}
        )
        self._serializer = tfds.core.example_serializer.ExampleSerializer(self.features.get_serialized_info())

    def __call__(self, image: bytes, label: int) -> bytes:
        encoded = self.features.encode_example({"image": io.BytesIO(image), "label": label})
        return self._serializer.get_tf_example(encoded).SerializeToString(deterministic=True)


def _tfds() -> Any:
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise InputError("writing needs tensorflow-datasets; run: pip install 'hasnn_jax[tfds]'") from None
    return tfds


def _array_record() -> Any:
    """The module; it comes with tensorflow-datasets."""
    return importlib.import_module("array_record.python.array_record_module")


def _check_target(folder: pathlib.Path) -> None:
    if (folder / _COMPLETE).exists():
        raise InputError(f"{folder}: holds a complete data set; delete it to write it anew, or choose another version")
    if folder.exists():
        raise InputError(f"{folder}: is there already, but is no data set; delete it, or choose another version")


def _make_plan(source: Source, splits: dict[str, Split], examples_per_shard: int | None, report: Report) -> _Plan:
    fingerprint = hashlib.sha256(json.dumps(source.classes).encode())
    counts = {split: [0] * len(source.classes) for split in splits}
    sizes = dict.fromkeys(splits, 0)
    for split, name, label, size in _survey(source, splits, report):
        fingerprint.update(f"{split}\0{name}\0{label}\0{size}\n".encode())
        counts[split][label] += 1
        sizes[split] += size
    shards = []
    for split, examples in splits.items():
        most = examples_per_shard or max(1, len(examples) * SHARD_BYTES // sizes[split])
        shards += _cut(source.name, split, len(examples), most)
    return _Plan(fingerprint.hexdigest(), counts, shards)


def _survey(source: Source, splits: dict[str, Split], report: Report) -> Iterator[tuple[str, str, int, int]]:
    """Split, name, label and size of every example; raises at the end if there were unreadable ones."""
    unreadable, done, total = [], 0, sum(len(split) for split in splits.values())
    for split_name, split in splits.items():
        if not len(split):
            raise InputError(f"{source.name}: the split {split_name!r} has no images; expected at least one")
        for index in range(len(split)):
            try:
                name, label, size = _outline(split, index)
            except UnreadableImageError as error:
                unreadable.append(str(error))
            else:
                if not 0 <= label < len(source.classes):
                    raise InputError(f"{name}: label {label}; expected 0 to {len(source.classes) - 1}")
                yield split_name, name, label, size
            done += 1
            report("checking images", done, total)
    if len(unreadable) > 1:
        more = f"; and {len(unreadable) - NAMED_AT_MOST} more" if len(unreadable) > NAMED_AT_MOST else ""
        unreadable = [f"{len(unreadable)} images are unreadable: {'; '.join(unreadable[:NAMED_AT_MOST])}{more}"]
    if unreadable:
        raise UnreadableImageError(unreadable[0])


def _outline(split: Split, index: int) -> tuple[str, int, int]:
    """Name, label and size in bytes of one example."""
    if not hasattr(split, "outline"):
        example = split[index]
        check_header(io.BytesIO(example["image"]), example["name"])
        return example["name"], int(example["label"]), len(example["image"])
    name, label, size = split.outline(index)
    if not size:
        raise UnreadableImageError(f"{name}: is empty; replace or remove it")
    return name, label, size


def _cut(name: str, split: str, examples: int, most: int) -> list[_Shard]:
    """Shards of nearly equal numbers of examples, at most so many, named as TFDS names them."""
    shards = -(-examples // most)
    edges = [examples * i // shards for i in range(shards + 1)]
    files = [f"{name}-{split}.array_record-{i:05d}-of-{shards:05d}" for i in range(shards)]
    return [_Shard(split, *part) for part in zip(edges[:-1], edges[1:], files, strict=True)]


def _written_before(folder: pathlib.Path, plan: _Plan) -> dict[str, dict[str, Any]]:
    """Shards that an earlier call has written: file name to count, bytes and digest."""
    file = folder / SHARDS_FILE
    if not file.exists():
        return {}
    begun = json.loads(file.read_text())
    written = begun.pop("written")
    if begun != plan.as_json():
        same = "the same data in other shards" if begun["fingerprint"] == plan.fingerprint else "other data"
        raise InputError(f"{folder}: was begun with {same}; delete it to start over, or give the same as then")
    return written


def _write_shards(
    folder: pathlib.Path, plan: _Plan, splits: dict[str, Split], serialize: _Serializer, report: Report
) -> dict[str, dict[str, Any]]:
    """Writes the shards that are missing or damaged; file name to count, bytes and digest of all of them."""
    written, done = _written_before(folder, plan), 0
    for shard in plan.shards:
        path, before = folder / shard.file, done
        done += shard.stop - shard.start
        if path.exists() and _digest(path) == written.get(shard.file, {}).get("sha256"):
            report("writing images", done, plan.examples)
        else:
            records = _counted(_records(splits[shard.split], shard, serialize), report, before, plan.examples)
            written[shard.file] = _write_shard(path, records)
            _save(folder, plan, written)
    return written


def _save(folder: pathlib.Path, plan: _Plan, written: dict[str, dict[str, Any]]) -> None:
    with _renamed_when_written(folder / SHARDS_FILE) as temporary:
        temporary.write_text(json.dumps(plan.as_json() | {"written": written}, sort_keys=True))


def _records(split: Split, shard: _Shard, serialize: _Serializer) -> Iterator[bytes]:
    for index in range(shard.start, shard.stop):
        example = split[index]
        check_header(io.BytesIO(example["image"]), example["name"])
        yield serialize(example["image"], int(example["label"]))


def _counted(records: Iterable[bytes], report: Report, before: int, total: int) -> Iterator[bytes]:
    for count, record in enumerate(records, start=before + 1):
        yield record
        report("writing images", count, total)


def _write_shard(path: pathlib.Path, records: Iterable[bytes]) -> dict[str, Any]:
    """Writes a shard and reads it back; a file of the name `path` is always whole."""
    tally = _Tally()
    with _renamed_when_written(path) as temporary:
        with contextlib.closing(_array_record().ArrayRecordWriter(str(temporary), _WRITER_OPTIONS)) as writer:
            for record in records:
                writer.write(record)
                tally.add(record)
        if not _holds(temporary, tally):
            raise InputError(f"{path}: does not read as it was written; check the disk, and run the same again")
        digest = _digest(temporary)
    return {"records": tally.records, "bytes": tally.bytes, "sha256": digest}


def _holds(path: pathlib.Path, tally: _Tally) -> bool:
    """Whether a shard holds the records that were counted, and nothing else."""
    found = _Tally()
    try:
        with contextlib.closing(_array_record().ArrayRecordReader(str(path))) as reader:
            for _ in range(reader.num_records()):
                found.add(reader.read())
    except (RuntimeError, ValueError, IndexError):  # the reader's, of damage
        return False
    return found.digest() == tally.digest()


def _digest(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_metadata(
    folder: pathlib.Path, version: str, plan: _Plan, written: dict[str, dict[str, Any]], features: Any
) -> None:
    """Writes what TFDS wants to find beside the shards; `dataset_info.json`, which completes a data set, comes last."""
    tfds = _tfds()
    split_infos = []
    for split in plan.class_counts:
        entries = [written[shard.file] for shard in plan.shards if shard.split == split]
        lengths, sizes = [entry["records"] for entry in entries], [entry["bytes"] for entry in entries]
        split_infos.append(tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=sum(sizes)))
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features, split_infos=split_infos, version=version, check_data=False
    )
    for file in folder.iterdir():
        _sync(file)


@contextlib.contextmanager
def _renamed_when_written(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a temporary name; what was written there gets its own name when all went well, and else is deleted."""
    temporary = path.with_name(f"{path.name}.unfinished")
    try:
        yield temporary
        _sync(temporary)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    temporary.replace(path)


def _sync(path: pathlib.Path) -> None:
    """What was written is on the disk, a power cut notwithstanding."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _full_disk_told(folder: pathlib.Path) -> Iterator[None]:
    """Says plainly that the disk is full; ArrayRecord's writer tells it in the text of a RuntimeError only."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        told = isinstance(error, RuntimeError) and any(os.strerror(code) in str(error) for code in _FULL)
        if not told and getattr(error, "errno", None) not in _FULL:
            raise
        raise InputError(f"{folder}: the disk is full; make room and run the same again to go on") from None

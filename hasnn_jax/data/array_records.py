"""Writes a `Source` as a data set of ArrayRecord files that TensorFlow Datasets reads; TensorFlow is not needed.

The data set is written in the folder `<version>.incomplete`, which is renamed to `<version>` at the very end, so an
interrupted call never leaves anything that looks complete. `shards.json` lists the planned shards and those already
written, so that the same call resumes the work; it stays in the finished data set.
"""

import contextlib
import io
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hasnn_jax.common.errors import InputError, is_disk_full
from hasnn_jax.common.files import sync
from hasnn_jax.common.locks import locked
from hasnn_jax.data.images import check_header
from hasnn_jax.data.record_files import Serializer, file_digest, write_records
from hasnn_jax.data.shard_plan import SHARDS_FILE, Shard, ShardPlan, load_written, plan_shards, save_written
from hasnn_jax.data.sources import Report, Source, Split, no_report
from hasnn_jax.data.tfds_import import import_tfds

__all__ = ["SHARDS_FILE", "write_array_records"]

_COMPLETE = "dataset_info.json"


def write_array_records(
    source: Source,
    data_dir: str | os.PathLike[str],
    *,
    version: str = "1.0.0",
    examples_per_shard: int | None = None,
    on_progress: Report = no_report,
) -> pathlib.Path:
    """Writes the data set `<data_dir>/<source.name>/<version>`, or resumes writing it.

    Record i of the split "train" holds the image file of `source.train[i]`, unchanged, and its label; likewise "test".
    Every shard is read back and compared. Shards from an earlier call are checked before they are kept.

    Args:
      source: its images must be the bytes of image files. Where a split has the method `outline`, images are read only
        when they are written; otherwise all images are read and checked before the first one is written, so that a bad
        one is found early.
      data_dir: the folder of all data sets.
      version: three numbers.
      examples_per_shard: the largest number of examples in a shard; by default as many as make about 128 MB.
      on_progress: called after every image.

    Returns:
      The folder of the data set.

    Raises:
      InputError: the data set already exists, an image cannot be read, an earlier call started with other data, the
        disk is full, another process is writing the same data set, or tensorflow-datasets is not installed.
    """
    folder = pathlib.Path(data_dir).expanduser() / source.name / version
    unfinished = folder.with_name(f"{version}.incomplete")
    _check_target(folder)
    serialize = Serializer(source)
    splits = {"train": source.train, "test": source.test}
    plan = plan_shards(source, splits, examples_per_shard, on_progress)
    with _explaining_full_disk(unfinished):
        unfinished.mkdir(parents=True, exist_ok=True)
        with locked(unfinished, f"{unfinished}: another process is writing here; wait for it, or stop it"):
            written = _write_shards(unfinished, plan, splits, serialize, on_progress)
            _remove_old_temporaries(unfinished)
            _write_metadata(unfinished, version, plan, written, serialize.features)
            unfinished.rename(folder)
            sync(folder.parent)
    return folder


def _check_target(folder: pathlib.Path) -> None:
    if (folder / _COMPLETE).exists():
        raise InputError(f"{folder}: already holds a complete data set; delete it, or choose another version")
    if folder.exists():
        raise InputError(f"{folder}: already exists but is not a data set; delete it, or choose another version")


def _remove_old_temporaries(folder: pathlib.Path) -> None:
    """Removes what an earlier version of this code left when killed: its temporary files had other names."""
    for file in folder.glob("*.unfinished"):
        file.unlink()


def _write_shards(
    folder: pathlib.Path, plan: ShardPlan, splits: Mapping[str, Split], serialize: Serializer, report: Report
) -> dict[str, dict[str, Any]]:
    """Writes the shards that are missing or damaged.

    Returns:
      For the file name of every shard its number of records, bytes and digest.
    """
    written, done = load_written(folder, plan), 0
    for shard in plan.shards:
        path, before = folder / shard.file, done
        done += shard.stop - shard.start
        if path.exists() and file_digest(path) == written.get(shard.file, {}).get("sha256"):
            report("writing images", done, plan.examples)
        else:
            records = _counted(_records(splits[shard.split], shard, serialize), report, before, plan.examples)
            written[shard.file] = write_records(path, records)
            save_written(folder, plan, written)
    return written


def _records(split: Split, shard: Shard, serialize: Serializer) -> Iterator[bytes]:
    for index in range(shard.start, shard.stop):
        example = split[index]
        check_header(io.BytesIO(example["image"]), example["name"])
        yield serialize(example["image"], int(example["label"]))


def _counted(records: Iterable[bytes], report: Report, before: int, total: int) -> Iterator[bytes]:
    for count, record in enumerate(records, start=before + 1):
        yield record
        report("writing images", count, total)


def _write_metadata(
    folder: pathlib.Path, version: str, plan: ShardPlan, written: Mapping[str, dict[str, Any]], features: Any
) -> None:
    """Writes the files that TFDS expects beside the shards; the last is `dataset_info.json`, which marks completion."""
    tfds = import_tfds("writing")
    split_infos = []
    for split in plan.class_counts:
        entries = [written[shard.file] for shard in plan.shards if shard.split == split]
        lengths, sizes = [entry["records"] for entry in entries], [entry["bytes"] for entry in entries]
        split_infos.append(tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=sum(sizes)))
    tfds.folder_dataset.write_metadata(
        data_dir=folder, features=features, split_infos=split_infos, version=version, check_data=False
    )
    for file in folder.iterdir():
        sync(file)


@contextlib.contextmanager
def _explaining_full_disk(folder: pathlib.Path) -> Iterator[None]:
    """Turns the errors of a full disk into one InputError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if not is_disk_full(error):
            raise
        raise InputError(f"{folder}: the disk is full; free some space, then run the same command to resume") from None

"""Which examples go into which shard of a data set, and which shards have been written so far.

Both are kept in the file `shards.json` of the data set, so that an interrupted call can be resumed.
"""

import dataclasses
import hashlib
import io
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.files import replacing
from hasnn_jax.data.images import UnreadableImageError, check_header
from hasnn_jax.data.sources import Report, Source, Split

SHARD_BYTES = 1 << 27
SHARDS_FILE = "shards.json"
NAMED_AT_MOST = 5


@dataclasses.dataclass(frozen=True)
class Shard:
    """Examples `start` to `stop` (exclusive) of a split, and the name of the file that holds them."""

    split: str
    start: int
    stop: int
    file: str


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """The shards of a data set.

    Attributes:
      fingerprint: a hash of all names, labels, sizes and class names; it differs for different data.
      class_counts: for each split, the number of images of each class.
      shards: in the order in which they are written.
    """

    fingerprint: str
    class_counts: dict[str, list[int]]
    shards: list[Shard]

    @property
    def examples(self) -> int:
        """The number of examples in all shards."""
        return sum(shard.stop - shard.start for shard in self.shards)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def plan_shards(
    source: Source, splits: Mapping[str, Split], examples_per_shard: int | None, report: Report
) -> ShardPlan:
    """Checks every example and divides them into shards.

    Args:
      source: the data set.
      splits: its splits by the names under which they are written.
      examples_per_shard: the largest number of examples in a shard; None: as many as make about SHARD_BYTES.
      report: called after every example.

    Raises:
      InputError: a split is empty, a label is out of range, or images are unreadable.
    """
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
    return ShardPlan(fingerprint.hexdigest(), counts, shards)


def _survey(source: Source, splits: Mapping[str, Split], report: Report) -> Iterator[tuple[str, str, int, int]]:
    """Yields split, name, label and size of every readable example; then raises if there were unreadable ones."""
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


def _cut(name: str, split: str, examples: int, most: int) -> list[Shard]:
    """Divides examples into shards of nearly equal length, at most `most` each, with the file names that TFDS uses."""
    shards = -(-examples // most)
    edges = [examples * i // shards for i in range(shards + 1)]
    files = [f"{name}-{split}.array_record-{i:05d}-of-{shards:05d}" for i in range(shards)]
    return [Shard(split, *part) for part in zip(edges[:-1], edges[1:], files, strict=True)]


def load_written(folder: pathlib.Path, plan: ShardPlan) -> dict[str, dict[str, Any]]:
    """The shards that an earlier call has written: for each file name its number of records, bytes and digest.

    Raises:
      InputError: the earlier call had another plan.
    """
    file = folder / SHARDS_FILE
    if not file.exists():
        return {}
    started = json.loads(file.read_text())
    written = started.pop("written")
    if started != plan.as_json():
        same = started["fingerprint"] == plan.fingerprint
        difference = "the same data divided into other shards" if same else "other data"
        raise InputError(
            f"{folder}: was started with {difference}; delete it to start over, or use the same data and settings again"
        )
    return written


def save_written(folder: pathlib.Path, plan: ShardPlan, written: Mapping[str, dict[str, Any]]) -> None:
    """Saves the plan and the shards written so far, for `load_written` and `load_class_counts`."""
    with replacing(folder / SHARDS_FILE) as temporary:
        temporary.write_text(json.dumps(plan.as_json() | {"written": written}, sort_keys=True))


def load_class_counts(folder: pathlib.Path) -> dict[str, list[int]] | None:
    """For "train" and "test" the number of images of each class; None if the data set was written by TFDS itself."""
    file = folder / SHARDS_FILE
    if not file.exists():
        return None
    counts = json.loads(file.read_text())["class_counts"]
    return {split: counts[split] for split in ("train", "test")}

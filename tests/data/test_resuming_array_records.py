"""Writing of ArrayRecord data sets that is interrupted at any moment: the same call ends with the same files."""

import fcntl
import os

import pytest
from shapes_data_set import (
    Images,
    contents,
    image_file,
    shapes,
    stamps,
    write,
    write_two_shards,
    write_until_killed,
)

from hasnn_jax.common.errors import InputError
from hasnn_jax.data.sources import Source
from hasnn_jax.data.tfds_source import open_tfds

pytest.importorskip("tensorflow_datasets")

COMPLETE_SHARDS = {
    "checking images 5": 0,
    "writing images 1": 0,
    "writing images 8": 3,
    "writing images 13": 4,
    "rename": 5,
}


@pytest.mark.parametrize("moment", COMPLETE_SHARDS)
def test_a_killed_run_leaves_nothing_that_reads_as_complete_and_resumes_to_the_same_files(tmp_path, moment):
    write_until_killed(tmp_path / "killed", moment)
    unfinished = tmp_path / "killed" / "shapes" / "1.0.0.incomplete"
    before = stamps(unfinished) if unfinished.exists() else {}

    with pytest.raises(InputError, match=r"^shapes: no prepared data|only partly prepared"):
        open_tfds("shapes", str(tmp_path / "killed"))
    assert (unfinished / "dataset_info.json").exists() == (moment == "rename")
    folder = write(tmp_path / "killed")
    assert contents(folder) == contents(write(tmp_path / "undisturbed"))
    assert not unfinished.exists()
    assert before.items() <= stamps(folder).items()
    assert len(before) == COMPLETE_SHARDS[moment]


def test_what_an_earlier_version_left_unfinished_is_resumed_without_a_trace(tmp_path):
    unfinished = write_two_shards(tmp_path / "killed")
    (unfinished / "shapes-train.array_record-00002-of-00004.unfinished").write_bytes(b"half a shard")
    (unfinished / "shards.json.unfinished").write_text("{")

    assert contents(write(tmp_path / "killed")) == contents(write(tmp_path / "undisturbed"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:200] + b"!" + data[201:],
        lambda data: data[:70000] + b"!" + data[70001:],  # in ArrayRecord's padding, which its reader ignores
        lambda data: data[:-1000],
        lambda data: b"",
    ],
    ids=["changed", "changed in the padding", "cut", "emptied"],
)
def test_a_shard_that_was_damaged_since_is_written_again(tmp_path, damage):
    unfinished = write_two_shards(tmp_path / "damaged")
    first, second = sorted(unfinished.glob("*.array_record-*"))
    first.write_bytes(damage(first.read_bytes()))
    stamp = stamps(unfinished)[second.name]
    folder = write(tmp_path / "damaged")

    assert contents(folder) == contents(write(tmp_path / "undisturbed"))
    assert stamps(folder)[second.name] == stamp


def test_a_whole_shard_in_the_place_of_another_is_written_again(tmp_path):
    first, second = sorted(write_two_shards(tmp_path / "damaged").glob("*.array_record-*"))
    first.write_bytes(second.read_bytes())

    assert contents(write(tmp_path / "damaged")) == contents(write(tmp_path / "undisturbed"))


@pytest.mark.parametrize(
    "other",
    [
        shapes(test=Images([image_file(i) for i in range(2)])),
        shapes(test=Images([image_file(i) for i in range(3)], [0, 1, 1])),
        shapes(test=Images([image_file(i, "BMP") for i in range(3)])),
        Source("shapes", ("disc", "square"), shapes().train, shapes().test),
    ],
    ids=["one image fewer", "another label", "an image of another size", "another class name"],
)
def test_work_started_with_other_data_is_refused_and_left_alone(tmp_path, other):
    unfinished = write_two_shards(tmp_path)
    before = contents(unfinished)
    with pytest.raises(InputError, match=rf"^{unfinished}: was started with other data; delete it to start over"):
        write(tmp_path, other)
    assert contents(unfinished) == before


def test_work_started_with_shards_of_another_size_is_refused(tmp_path):
    write_two_shards(tmp_path)
    with pytest.raises(
        InputError, match="was started with the same data divided into other shards; delete it to start"
    ):
        write(tmp_path, examples_per_shard=5)


@pytest.mark.parametrize("file", ["shapes-train.array_record-00002-of-00004", "shards.json"])
def test_a_full_disk_is_one_line_and_the_work_is_resumed_later(tmp_path, file):
    unfinished = write_two_shards(tmp_path / "full")
    (unfinished / f".{file}.tmp").symlink_to("/dev/full")
    message = rf"^{unfinished}: the disk is full; free some space, then run the same command to resume$"
    with pytest.raises(InputError, match=message):
        write(tmp_path / "full")

    assert contents(write(tmp_path / "full")) == contents(write(tmp_path / "undisturbed"))


def test_a_second_process_is_kept_out(tmp_path):
    unfinished = write_two_shards(tmp_path)
    descriptor = os.open(unfinished, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="another process is writing here"):
        write(tmp_path)
    os.close(descriptor)
    write(tmp_path)

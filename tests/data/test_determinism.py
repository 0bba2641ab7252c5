"""Batch k is the same array for any number of processes and workers, and after any restart."""

import hashlib
import itertools
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import Preprocessing, Reading, evaluation_batches, open_folder, train_batches

BATCH, STEPS, EXAMPLES = 8, 50, 149  # a pass ends inside batches 18 and 37
PREPROCESSING = Preprocessing(
    num_classes=3, image_size=16, crop_scale=0.3, flip=True, shift=2, randaugment=2, random_erasing=0.5
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A tree of small JPEGs of many shapes; each class has more training images than three batches."""
    root = tmp_path_factory.mktemp("tree")
    rng = np.random.default_rng(0)
    for split, counts in (("train", (50, 49, 50)), ("test", (7, 8, 6))):
        for label, count in enumerate(counts):
            (root / split / f"class{label}").mkdir(parents=True)
            for i in range(count):
                shape = (*rng.integers(12, 60, 2), 3)
                image = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
                image.save(root / split / f"class{label}" / f"{i}.jpg")
    return open_folder(str(root))


def hashes(batches):
    """One digest for each batch, over its arrays and their names."""
    digests = []
    for batch in batches:
        digest = hashlib.sha256()
        for name in sorted(batch):
            digest.update(name.encode() + batch[name].tobytes())
        digests.append(digest.hexdigest())
    return digests


def global_batches(source, processes=1, workers=0, start=0):
    """The batches that the processes together make, each putting its share in its place."""
    streams = [
        train_batches(
            source.train,
            PREPROCESSING,
            batch_size=BATCH,
            seed=11,
            start_step=start,
            reading=Reading(workers=workers, process_index=index, process_count=processes),
        )
        for index in range(processes)
    ]
    try:
        for parts in itertools.islice(zip(*streams, strict=True), STEPS - start):
            yield {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    finally:
        for stream in streams:
            stream.close()


@pytest.fixture(scope="module")
def expected(source):
    return hashes(global_batches(source))


def test_batches_differ_from_each_other(expected):
    assert len(expected) == len(set(expected)) == STEPS


@pytest.mark.parametrize("processes", [2, 4])
def test_batches_do_not_depend_on_the_number_of_processes(source, expected, processes):
    assert hashes(global_batches(source, processes)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_batches_do_not_depend_on_the_number_of_workers(source, expected, processes):
    assert hashes(global_batches(source, processes, workers=2)) == expected


@pytest.mark.parametrize(("processes", "workers"), [(1, 0), (4, 0), pytest.param(1, 2, marks=pytest.mark.slow)])
def test_a_restart_at_step_23_continues_with_the_same_batches(source, expected, processes, workers):
    assert hashes(global_batches(source, processes, workers, start=23)) == expected[23:]


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_evaluation_covers_every_example_once_on_any_number_of_processes(source, processes):
    whole = list(evaluation_batches(source.test, PREPROCESSING, batch_size=BATCH))
    streams = [
        evaluation_batches(
            source.test, PREPROCESSING, batch_size=BATCH, reading=Reading(process_index=i, process_count=processes)
        )
        for i in range(processes)
    ]
    joined = [
        {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for parts in zip(*streams, strict=True)
    ]
    assert hashes(joined) == hashes(whole)
    assert sum(batch["mask"].sum() for batch in whole) == len(source.test) == 21


@pytest.fixture
def damaged(tmp_path):
    """Twelve readable training images and two that are not, and a test split with one of three broken."""
    for split, count in (("train", 14), ("test", 3)):
        (tmp_path / split / "cat").mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8), (i + 1, 0, 0)).save(tmp_path / split / "cat" / f"{i:02}.png")
    for path in ("train/cat/05.png", "train/cat/06.png", "test/cat/01.png"):
        (tmp_path / path).write_bytes(b"no image")
    return open_folder(str(tmp_path))


def damaged_batches(source, workers=0):
    reading = Reading(workers=workers, on_bad_image="skip")
    stream = train_batches(source.train, Preprocessing(1, 8), batch_size=7, seed=3, reading=reading)
    batches = list(itertools.islice(stream, 4))
    stream.close()
    return batches


def test_skipping_takes_the_next_readable_image_and_counts_it(damaged):
    batches = damaged_batches(damaged)
    shown = np.concatenate([batch["image"][:, 0, 0, 0] for batch in batches])
    replaced = np.concatenate([batch["replaced"] for batch in batches])
    for one_pass in (slice(0, 14), slice(14, 28)):
        assert sorted(shown[one_pass]) == sorted([*range(1, 6), 8, 8, 8, *range(9, 15)])  # 5 and 6 became 7
        assert replaced[one_pass].sum() == 2
        assert set(shown[one_pass][replaced[one_pass]]) == {8}


@pytest.mark.slow
def test_skipping_is_the_same_in_worker_processes(damaged):
    assert hashes(damaged_batches(damaged, workers=2)) == hashes(damaged_batches(damaged))


def test_an_unreadable_test_image_counts_as_no_example(damaged):
    reading = Reading(on_bad_image="skip")
    (batch,) = evaluation_batches(damaged.test, Preprocessing(1, 8), batch_size=4, reading=reading)
    assert list(batch["mask"]) == [True, False, True, False]
    assert list(batch["replaced"]) == [False, True, False, False]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_by_default_an_unreadable_image_stops_with_its_path(damaged, workers):
    stream = train_batches(damaged.train, Preprocessing(1, 8), batch_size=14, seed=3, reading=Reading(workers=workers))
    with pytest.raises(InputError, match=r"train/cat/0[56]\.png: cannot be read as an image"):
        next(stream)


def test_a_split_without_one_readable_image_is_refused(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split / "cat").mkdir(parents=True)
        (tmp_path / split / "cat" / "a.png").write_bytes(b"no image")
    source = open_folder(str(tmp_path))
    with pytest.raises(InputError, match="no image of the split can be read"):
        next(
            train_batches(source.train, Preprocessing(1, 8), batch_size=2, seed=0, reading=Reading(on_bad_image="skip"))
        )


READ_AND_STOP = """
import sys
from hasnn_jax.data import Preprocessing, Reading, open_folder, train_batches

if __name__ == "__main__":
    source = open_folder(sys.argv[1])
    batches = train_batches(source.train, Preprocessing(3, 16), batch_size=8, seed=0, reading=Reading(workers=2))
    first = next(batches)
    batches.close()
    print(first["image"].sum())
"""


@pytest.mark.slow
def test_stopping_the_workers_leaves_nothing_behind_and_says_nothing(source, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(READ_AND_STOP)
    root = source.train.index.root.parent
    before = set(pathlib.Path("/dev/shm").glob("*"))
    done = subprocess.run([sys.executable, script, root], capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == ""
    batches = train_batches(source.train, Preprocessing(3, 16), batch_size=8, seed=0)
    assert int(done.stdout) == next(batches)["image"].sum()
    assert set(pathlib.Path("/dev/shm").glob("*")) <= before

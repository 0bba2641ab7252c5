"""Sources written as ArrayRecord data sets: what is read equals the source, whatever ends the work on the way.

Run as a program, this file writes the data set `SHAPES` and dies by SIGKILL at a given moment.
"""

import fcntl
import io
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hasnn_jax.data import array_records
from hasnn_jax.data.array_records import write_array_records
from hasnn_jax.data.sources import Source
from hasnn_jax.data.tfds_source import open_tfds
from hasnn_jax.errors import InputError

pytest.importorskip("tensorflow_datasets")

ROOT = pathlib.Path(__file__).parents[2]


class Images:
    """A split in memory; it counts how often it is read."""

    def __init__(self, files, labels=None):
        self.files, self.labels, self.reads = files, labels or [i % 2 for i in range(len(files))], 0

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        self.reads += 1
        return {"image": self.files[index], "label": np.int32(self.labels[index]), "name": f"img/{index}.png"}


class Outlined(Images):
    def outline(self, index):
        return f"img/{index}.png", self.labels[index], len(self.files[index])


def image_file(value, form="PNG", size=(5, 4), mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, size, value if mode == "1" else (value,) * 3).save(file, form)
    return file.getvalue()


def shapes(name="shapes", train=None, test=None):
    train = train or Images([image_file(10 * i, ("PNG", "JPEG", "BMP")[i % 3]) for i in range(10)])
    return Source(name, ("disc", "ring"), train, test or Images([image_file(i) for i in range(3)]))


def write(data_dir, source=None, **options):
    return write_array_records(source or shapes(), data_dir, **{"examples_per_shard": 3, **options})


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def stamps(folder):
    """Tells files that were written anew from files that were left alone."""
    return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in folder.glob("*.array_record-*")}


def read(folder, split):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    return builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})


def write_until_killed(data_dir, moment):
    """Writes in a process that is killed at the moment: "rename", or a report such as "writing images 5"."""
    run = subprocess.run(
        [sys.executable, __file__, str(data_dir), moment],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    target, moment = sys.argv[1:]
    if moment == "rename":
        pathlib.Path.rename = die
    write(target, on_progress=lambda doing, done, total: moment == f"{doing} {done}" and die())


def test_record_i_of_a_split_is_example_i_of_the_source(tmp_path):
    source = shapes()
    folder = write(tmp_path, source)

    assert folder == tmp_path / "shapes" / "1.0.0"
    for split, images in (("train", source.train), ("test", source.test)):
        records = list(read(folder, split))
        assert [record["image"] for record in records] == images.files
        assert [record["label"] for record in records] == images.labels


def test_tfds_finds_features_class_names_and_pixels(tmp_path):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(write(tmp_path))

    assert builder.info.features["label"].names == ["disc", "ring"]
    assert builder.info.features["image"].shape == (None, None, 3)
    assert (builder.info.full_name, builder.info.file_format.value) == ("shapes/1.0.0", "array_record")
    assert builder.as_data_source("train")[9]["image"].tolist() == np.full((4, 5, 3), 90).tolist()


def test_shards_are_named_and_filled_evenly(tmp_path):
    folder = write(tmp_path)
    shards = [file.name for file in sorted(folder.glob("shapes-train.array_record-*"))]

    assert shards == [f"shapes-train.array_record-0000{i}-of-00004" for i in range(4)]
    assert '"shardLengths":["2","3","2","3"]' in (folder / "dataset_info.json").read_text().translate({32: "", 10: ""})


def test_shards_are_of_a_sensible_size_by_default(tmp_path, monkeypatch):
    assert array_records.SHARD_BYTES == 2**27
    monkeypatch.setattr(array_records, "SHARD_BYTES", 250)
    folder = write(tmp_path, shapes(test=Images([image_file(0)] * 9)), examples_per_shard=None)

    assert len(image_file(0)) * 3 < 250 < len(image_file(0)) * 4
    assert len(list(folder.glob("shapes-test*"))) == 3


def test_equal_sources_give_equal_files(tmp_path):
    assert contents(write(tmp_path / "a")) == contents(write(tmp_path / "b"))


def test_progress_counts_every_image_twice_checked_and_written(tmp_path):
    told = []
    write(tmp_path, on_progress=lambda *progress: told.append(progress))

    assert told == [(doing, i, 13) for doing in ("checking images", "writing images") for i in range(1, 14)]


def test_a_split_that_can_outline_its_examples_is_read_once(tmp_path):
    train = Outlined([image_file(i) for i in range(10)])
    write(tmp_path, shapes(train=train))

    assert train.reads == 10


WHOLE_SHARDS = {
    "checking images 5": 0,
    "writing images 1": 0,
    "writing images 8": 3,
    "writing images 13": 4,
    "rename": 5,
}


@pytest.mark.parametrize("moment", WHOLE_SHARDS)
def test_a_killed_run_leaves_nothing_that_reads_as_complete_and_goes_on_to_the_same_files(tmp_path, moment):
    write_until_killed(tmp_path / "killed", moment)
    unfinished = tmp_path / "killed" / "shapes" / "1.0.0.incomplete"
    before = stamps(unfinished) if unfinished.exists() else {}

    with pytest.raises(InputError, match=r"^shapes: no prepared data|half-prepared"):
        open_tfds("shapes", str(tmp_path / "killed"))
    assert (unfinished / "dataset_info.json").exists() == (moment == "rename")
    folder = write(tmp_path / "killed")
    assert contents(folder) == contents(write(tmp_path / "undisturbed"))
    assert not unfinished.exists()
    whole = {name: stamp for name, stamp in before.items() if not name.endswith("unfinished")}
    assert whole.items() <= stamps(folder).items()
    assert len(whole) == WHOLE_SHARDS[moment]


def begin(data_dir, source=None):
    """Writes two shards of the data set, then stops."""

    def stop(doing, done, total):
        if (doing, done) == ("writing images", 6):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(data_dir, source, on_progress=stop)
    return data_dir / "shapes" / "1.0.0.incomplete"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:200] + b"!" + data[201:],
        lambda data: data[:70000] + b"!" + data[70001:],  # where ArrayRecord has padding, and does not look
        lambda data: data[:-1000],
        lambda data: b"",
    ],
    ids=["changed", "changed in the padding", "cut", "emptied"],
)
def test_a_shard_that_was_damaged_since_is_written_again(tmp_path, damage):
    unfinished = begin(tmp_path / "damaged")
    first, second = sorted(unfinished.glob("*.array_record-*"))
    first.write_bytes(damage(first.read_bytes()))
    stamp = stamps(unfinished)[second.name]
    folder = write(tmp_path / "damaged")

    assert contents(folder) == contents(write(tmp_path / "undisturbed"))
    assert stamps(folder)[second.name] == stamp


def test_a_whole_shard_in_the_place_of_another_is_written_again(tmp_path):
    first, second = sorted(begin(tmp_path / "damaged").glob("*.array_record-*"))
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
def test_work_begun_with_other_data_is_refused_and_left_alone(tmp_path, other):
    unfinished = begin(tmp_path)
    before = contents(unfinished)
    with pytest.raises(InputError, match=rf"^{unfinished}: was begun with other data; delete it to start over"):
        write(tmp_path, other)
    assert contents(unfinished) == before


def test_work_begun_with_shards_of_another_size_is_refused(tmp_path):
    begin(tmp_path)
    with pytest.raises(InputError, match="was begun with the same data in other shards; delete it to start over"):
        write(tmp_path, examples_per_shard=5)


@pytest.mark.parametrize("file", ["shapes-train.array_record-00002-of-00004", "shards.json"])
def test_a_full_disk_is_told_in_one_line_and_the_work_goes_on_later(tmp_path, file):
    unfinished = begin(tmp_path / "full")
    (unfinished / f"{file}.unfinished").symlink_to("/dev/full")
    with pytest.raises(
        InputError, match=rf"^{unfinished}: the disk is full; make room and run the same again to go on$"
    ):
        write(tmp_path / "full")

    assert contents(write(tmp_path / "full")) == contents(write(tmp_path / "undisturbed"))


def test_a_shard_that_reads_otherwise_than_it_was_written_is_refused(tmp_path, monkeypatch):
    class Forgetful(array_records._array_record().ArrayRecordWriter):
        def write(self, record):
            super().write(record.replace(b"PNG", b"GNP"))

    monkeypatch.setattr(array_records._array_record(), "ArrayRecordWriter", Forgetful)
    with pytest.raises(InputError, match="00000-of-00004: does not read as it was written; check the disk"):
        write(tmp_path)
    assert not list(tmp_path.glob("**/*.array_record-*"))


def test_a_complete_data_set_is_not_overwritten(tmp_path):
    folder = write(tmp_path)
    before = contents(folder)
    with pytest.raises(InputError, match=rf"^{folder}: holds a complete data set; delete it to write it anew"):
        write(tmp_path)
    assert contents(folder) == before


def test_a_folder_in_the_way_is_refused(tmp_path):
    (tmp_path / "shapes" / "1.0.0").mkdir(parents=True)
    with pytest.raises(InputError, match="is there already, but is no data set"):
        write(tmp_path)


def test_a_second_process_is_kept_out(tmp_path):
    unfinished = begin(tmp_path)
    descriptor = os.open(unfinished, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(InputError, match="another process is writing here"):
        write(tmp_path)
    os.close(descriptor)
    write(tmp_path)


UNREADABLE = {
    "is empty": b"",
    "cannot be read as an image": b"GIF89a, or so it says",
    "cannot be read as an image ": image_file(0)[:20],
    "has 9000 x 9000 pixels; expected 1 to 67,108,864": image_file(0, size=(9000, 9000), mode="1"),
}


@pytest.mark.parametrize("outlined", [False, True])
@pytest.mark.parametrize("reason", UNREADABLE)
def test_an_unreadable_image_stops_the_work_with_its_path(tmp_path, reason, outlined):
    files = [image_file(0), UNREADABLE[reason]]
    test = Outlined(files) if outlined else Images(files)
    with pytest.raises(InputError, match=rf"^img/1\.png: {reason}.*remove it$"):
        write(tmp_path, shapes(test=test))
    assert not list(tmp_path.glob("**/*test.array_record-*"))


@pytest.mark.parametrize("kind", [Images, Outlined])
def test_all_empty_images_are_told_before_the_first_is_written(tmp_path, kind):
    with pytest.raises(InputError) as caught:
        write(tmp_path, shapes(test=kind([b""] * 7)))

    assert str(caught.value).startswith("7 images are unreadable: img/0.png: is empty; replace or remove it; img/1.png")
    assert str(caught.value).endswith("; and 2 more")
    assert list(tmp_path.iterdir()) == []


def test_a_label_without_a_class_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^img/2\.png: label 2; expected 0 to 1$"):
        write(tmp_path, shapes(test=Images([image_file(0)] * 3, [0, 1, 2])))


def test_an_empty_split_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^shapes: the split 'test' has no images"):
        write(tmp_path, Source("shapes", ("disc", "ring"), shapes().train, Images([])))


def test_a_name_that_tfds_would_not_read_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^256_Objects: expected a name of letters, digits and '_'"):
        write(tmp_path, shapes("256_Objects"))


def test_without_tensorflow_datasets_the_package_to_install_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError, match=r"pip install 'hasnn_jax\[tfds\]'$"):
        write(tmp_path)

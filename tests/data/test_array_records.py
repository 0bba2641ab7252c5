"""Sources written as ArrayRecord data sets: what is read back equals the source."""

import sys

import numpy as np
import pytest
from shapes_data_set import Outlined, contents, image_file, shapes, write

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import record_files

pytest.importorskip("tensorflow_datasets")


def read(folder, split):
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    return builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})


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


def test_equal_sources_give_equal_files(tmp_path):
    assert contents(write(tmp_path / "a")) == contents(write(tmp_path / "b"))


def test_progress_counts_every_image_twice_checked_and_written(tmp_path):
    reports = []
    write(tmp_path, on_progress=lambda *progress: reports.append(progress))

    assert reports == [(stage, i, 13) for stage in ("checking images", "writing images") for i in range(1, 14)]


def test_a_split_that_can_outline_its_examples_is_read_once(tmp_path):
    train = Outlined([image_file(i) for i in range(10)])
    write(tmp_path, shapes(train=train))

    assert train.reads == 10


def test_a_shard_that_reads_back_differently_is_refused(tmp_path, monkeypatch):
    class Forgetful(record_files._array_record().ArrayRecordWriter):
        def write(self, record):
            super().write(record.replace(b"PNG", b"GNP"))

    monkeypatch.setattr(record_files._array_record(), "ArrayRecordWriter", Forgetful)
    with pytest.raises(InputError, match="00000-of-00004: differs from what was written; check the disk"):
        write(tmp_path)
    assert not list(tmp_path.glob("**/*.array_record-*"))


def test_a_complete_data_set_is_not_overwritten(tmp_path):
    folder = write(tmp_path)
    before = contents(folder)
    with pytest.raises(
        InputError, match=rf"^{folder}: already holds a complete data set; delete it, or choose another"
    ):
        write(tmp_path)
    assert contents(folder) == before


def test_a_folder_in_the_way_is_refused(tmp_path):
    (tmp_path / "shapes" / "1.0.0").mkdir(parents=True)
    with pytest.raises(InputError, match="already exists but is not a data set"):
        write(tmp_path)


def test_a_name_that_tfds_would_not_read_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^256_Objects: expected a name of letters, digits and '_'"):
        write(tmp_path, shapes("256_Objects"))


def test_without_tensorflow_datasets_the_package_to_install_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError, match=r"^writing needs .*pip install 'hasnn_jax\[tfds\]'$"):
        write(tmp_path)

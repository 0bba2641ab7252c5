"""`prepare_dataset`: data sets from class folders, from ImageNet's archives and by TensorFlow Datasets."""

import dataclasses
import importlib.util
import io
import sys
import tarfile

import numpy as np
import pytest
from PIL import Image

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import imagenet_tars
from hasnn_jax.data.array_records import SHARDS_FILE, write_array_records
from hasnn_jax.data.folder_source import open_folder
from hasnn_jax.data.prepare import prepare_dataset
from hasnn_jax.data.tfds_source import open_tfds

tfds = pytest.importorskip("tensorflow_datasets")


def make_class_folders(root, counts, form="png"):
    """Image i of a class is filled with the value i."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (4, 3), (i, i, i)).save(root / name / f"{i:03d}.{form}")
    return root


def refusal(*arguments, **options):
    """The message of the InputError that `prepare_dataset` raises."""
    with pytest.raises(InputError) as caught:
        prepare_dataset(*arguments, **options)
    return str(caught.value)


@pytest.fixture
def folders(tmp_path):
    return make_class_folders(tmp_path / "classes", {"disc": 5, "ring": 10, "clutter": 3})


@pytest.fixture
def reports():
    """What a progress function is called with."""
    return []


def test_class_folders_become_a_data_set_that_describes_itself(tmp_path, folders, reports):
    dataset = prepare_dataset(
        "shapes", tmp_path, str(folders), ["clutter"], progress=lambda *report: reports.append(report)
    )

    assert dataset.name == "shapes"
    assert dataset.data_dir == tmp_path
    assert dataset.folder == tmp_path / "shapes" / "1.0.0"
    assert dataset.classes == ("disc", "ring")
    assert dataset.counts == {"train": [4, 8], "test": [1, 2]}
    assert reports[-1] == ("writing images", 15, 15)


def test_what_was_prepared_from_class_folders_is_read_like_the_folders(tmp_path, folders):
    prepare_dataset("shapes", tmp_path, str(folders))
    source, expected = open_tfds("shapes", str(tmp_path)), open_folder(str(folders))

    assert source.classes == expected.classes == ("clutter", "disc", "ring")
    for split, original in ((source.train, expected.train), (source.test, expected.test)):
        assert len(split) == len(original)
        for i in range(len(split)):
            assert (split[i]["image"], split[i]["label"]) == (original[i]["image"], original[i]["label"])


def test_nothing_is_printed_on_stdout_and_remarks_on_stderr(tmp_path, folders, capsys):
    (folders / "disc" / "readme.txt").write_text("none")
    prepare_dataset("shapes", tmp_path, str(folders))
    out, err = capsys.readouterr()

    assert out == ""
    assert err == "skipped 1 files that are hidden or do not have the name of an image\n"


def test_an_unreadable_image_is_named_by_its_path(tmp_path, folders):
    (folders / "ring" / "003.png").write_bytes(b"")

    message = f"{folders}/ring/003.png: is empty; replace or remove it"
    assert refusal("shapes", tmp_path, str(folders)) == message


def test_a_missing_folder_is_named_with_the_option_that_sets_it(tmp_path):
    message = f"{tmp_path}/nowhere: no such folder; name the class folders with --folder"
    assert refusal("shapes", tmp_path, str(tmp_path / "nowhere")) == message


def test_exclude_without_folder_is_refused(tmp_path):
    message = "--exclude: leaves out class folders, so it needs --folder"
    assert refusal("cifar10", tmp_path, exclude=["cat"]) == message


def test_imagenet_comes_from_its_two_archives(tmp_path, monkeypatch, reports):
    make_imagenet(tmp_path / "downloads" / "manual")
    lists = {"labels.txt": ["n02", "n01"], "validation_labels.txt": ["n01", "n02", "n01"]}
    monkeypatch.setattr(imagenet_tars, "_shipped", lists.__getitem__)
    dataset = prepare_dataset("imagenet2012", tmp_path, progress=lambda *report: reports.append(report))

    assert dataset.name == "imagenet2012"
    assert dataset.classes == ("n02", "n01")
    assert dataset.counts == {"train": [2, 2], "test": [1, 2]}
    assert ("indexing classes", 2, 2) in reports
    source = open_tfds("imagenet2012", str(tmp_path))
    assert [source.test[i]["label"] for i in range(3)] == [1, 0, 1]
    assert [grey(source.train[i]["image"]) for i in range(4)] == [20, 21, 10, 11]


def make_imagenet(folder):
    """Two training images of each of two classes, and three validation images."""
    folder.mkdir(parents=True)
    for synset, values in (("n01", (10, 11)), ("n02", (20, 21))):
        write_tar(folder / f"{synset}.tar", {f"{synset}_{value}.JPEG": image_file(value) for value in values})
    classes = {f"{synset}.tar": (folder / f"{synset}.tar").read_bytes() for synset in ("n01", "n02")}
    write_tar(folder / "ILSVRC2012_img_train.tar", classes)
    images = {f"ILSVRC2012_val_{i:08d}.JPEG": image_file(30 + i) for i in (1, 2, 3)}
    write_tar(folder / "ILSVRC2012_img_val.tar", images)


def write_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def image_file(value):
    file = io.BytesIO()
    Image.new("L", (8, 8), value).save(file, "JPEG")
    return file.getvalue()


def grey(encoded):
    return int(np.rint(np.asarray(Image.open(io.BytesIO(encoded))).mean()))


def test_missing_imagenet_archives_are_named_with_where_to_put_them(tmp_path):
    message = refusal("imagenet2012", tmp_path)

    assert message.startswith(f"{tmp_path}/downloads/manual/ILSVRC2012_img_train.tar: no such archive; ")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    message = refusal("cifr10", tmp_path)

    assert message.startswith("cifr10: TensorFlow Datasets has no data set of this name; did you mean cifar10 or ")
    assert message.endswith("? (for class folders, add --folder)")


def test_without_tensorflow_the_package_to_install_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)

    message = "cifar10: preparing it needs TensorFlow; run: pip install 'hasnn_jax[prepare]'"
    assert refusal("cifar10", tmp_path) == message


class Builder:
    """Stands for a builder of TFDS: prepares `tiny/1.0.0`, or fails."""

    def __init__(self, data_dir, features=("image", "label"), error=None):
        self.root, self.error = data_dir, error
        self.data_dir = str(data_dir / "tiny" / "1.0.0")
        self.info = type("Info", (), {"features": dict.fromkeys(features)})

    def download_and_prepare(self):
        if self.error:
            raise self.error
        folders = make_class_folders(self.root / "classes", {"disc": 5, "ring": 5})
        source = dataclasses.replace(open_folder(str(folders)), name="tiny")
        (write_array_records(source, self.root) / SHARDS_FILE).unlink()  # TFDS writes none


@pytest.fixture
def builder(monkeypatch):
    """Makes `tfds.builder` return such a builder; TensorFlow seems to be installed."""

    def install(**options):
        asked = []

        def make(name, data_dir, file_format):
            asked.append((name, file_format))
            return Builder(data_dir, **options)

        monkeypatch.setattr(tfds, "builder", make)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
        return asked

    return install


def test_other_names_are_prepared_by_tfds_and_counted(tmp_path, builder, reports):
    asked = builder()
    dataset = prepare_dataset("mnist", tmp_path, progress=lambda *report: reports.append(report))

    assert asked == [("mnist", "array_record")]
    assert dataset.name == "tiny"
    assert dataset.classes == ("disc", "ring")
    assert dataset.counts == {"train": [4, 4], "test": [1, 1]}
    assert reports == [("counting images", i, 10) for i in range(1, 11)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"features": ["label", "text"]}, "expected the features 'image' and 'label', got ['label', 'text']"),
        ({"error": AssertionError("Manual download:\n  lay it\n  there.")}, "Manual download: lay it there."),
        ({"error": OSError(28, "No space left on device")}, "[Errno 28] No space left on device"),
    ],
    ids=["no images", "manual download", "full disk"],
)
def test_an_error_of_tfds_becomes_one_line(tmp_path, builder, options, reason):
    builder(**options)

    assert refusal("mnist", tmp_path) == f"mnist: could not be prepared: {reason}"

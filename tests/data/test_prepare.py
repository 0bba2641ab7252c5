"""The command that prepares data sets, and data that other environments have prepared."""

import dataclasses
import importlib.util
import io
import os
import pathlib
import pty
import subprocess
import sys
import tarfile
import termios

import numpy as np
import pytest
from PIL import Image

from hasnn_jax.data import imagenet_tars, prepare
from hasnn_jax.data.array_records import SHARDS_FILE, write_array_records
from hasnn_jax.data.folder_source import open_folder
from hasnn_jax.data.tfds_source import open_tfds

tfds = pytest.importorskip("tensorflow_datasets")

TENSORFLOW_PYTHON = os.environ.get("HASNN_TENSORFLOW_PYTHON")


def lay_class_folders(root, counts, form="png"):
    """Image i of a class is filled with the value i."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (4, 3), (i, i, i)).save(root / name / f"{i:03d}.{form}")
    return root


def run(capsys, *arguments):
    """Exit message (None: all went well), standard output and standard error of the command."""
    message = None
    try:
        prepare.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        message = stop.code
    return message, *capsys.readouterr()


@pytest.fixture
def folders(tmp_path):
    return lay_class_folders(tmp_path / "classes", {"disc": 5, "ring": 10, "clutter": 3})


def test_class_folders_become_a_data_set_and_a_command_that_trains_on_it(tmp_path, folders, capsys):
    message, out, err = run(
        capsys, "shapes", "--data_dir", tmp_path / "a b", "--folder", folders, "--exclude", "clutter"
    )

    assert message is None
    head, *table, command = out.splitlines()
    assert head.startswith("shapes: 12 train + 3 test images of 2 classes, ")
    assert head.endswith(f"B in {tmp_path}/a b/shapes/1.0.0")
    assert [line.split() for line in table] == [["train", "test"], ["disc", "4", "1"], ["ring", "8", "2"]]
    assert command == (
        "to train on it: python train.py --config.data.source=tfds --config.data.name=shapes "
        f"--config.data.data_dir='{tmp_path}/a b' --config.data.num_classes=2"
    )
    assert "writing images: 15 of 15" in err


def test_what_was_prepared_of_class_folders_is_read_as_the_folders_are(tmp_path, folders, capsys):
    run(capsys, "shapes", "--data_dir", tmp_path, "--folder", folders)
    source, expected = open_tfds("shapes", str(tmp_path)), open_folder(str(folders))

    assert source.classes == expected.classes == ("clutter", "disc", "ring")
    for split, original in ((source.train, expected.train), (source.test, expected.test)):
        assert len(split) == len(original)
        for i in range(len(split)):
            assert (split[i]["image"], split[i]["label"]) == (original[i]["image"], original[i]["label"])


def test_more_classes_than_fit_are_told_by_their_spread_and_the_smallest(tmp_path, capsys):
    folders = lay_class_folders(tmp_path / "classes", {f"class{i:02d}": 10 + 10 * (i % 3) for i in range(22)})
    _, out, _ = run(capsys, "many", "--data_dir", tmp_path, "--folder", folders)
    _, title, train, test, _ = out.splitlines()

    assert title.split() == ["images", "a", "class", "min", "median", "max", "smallest"]
    assert train.split()[:6] == ["train", "8", "16", "24", "class00", "8,"]
    assert test.split()[:6] == ["test", "2", "4", "6", "class00", "2,"]


def test_the_same_command_again_leaves_a_complete_data_set_alone(tmp_path, folders, capsys):
    command = ("shapes", "--data_dir", tmp_path, "--folder", folders)
    first = run(capsys, *command)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "shapes").rglob("*")}
    message, out, err = run(capsys, *command)

    assert message is None
    assert out == first[1]
    assert err == f"{tmp_path}/shapes/1.0.0: is prepared already; delete it to prepare it anew\n"
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "shapes").rglob("*")} == before


def test_a_stopped_command_says_that_it_goes_on_and_does(tmp_path, folders, capsys, monkeypatch):
    def stop(progress, stage, done, total):
        if (stage, done) == ("writing images", 16):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare.Progress, "__call__", stop)
        message, _, _ = run(capsys, "shapes", "--data_dir", tmp_path, "--folder", folders)
    assert message == "prepare: stopped; the same command goes on"
    # Given from another folder, with another spelling of the path, it is still the same work.
    monkeypatch.chdir(folders.parent)
    (shard,) = (tmp_path / "shapes" / "1.0.0.incomplete").glob("shapes-train*")
    inode = shard.stat().st_ino
    message, _, _ = run(capsys, "shapes", "--data_dir", tmp_path, "--folder", folders.name)
    assert message is None
    assert (tmp_path / "shapes" / "1.0.0" / shard.name).stat().st_ino == inode


def test_an_unreadable_image_is_one_line_with_its_path(tmp_path, folders, capsys):
    (folders / "ring" / "003.png").write_bytes(b"")
    message, out, _ = run(capsys, "shapes", "--data_dir", tmp_path, "--folder", folders)

    assert message == f"prepare: {folders}/ring/003.png: is empty; replace or remove it"
    assert out == ""


def test_a_missing_folder_is_told_with_the_option_that_names_it(tmp_path, capsys):
    message, _, _ = run(capsys, "shapes", "--data_dir", tmp_path, "--folder", tmp_path / "nowhere")

    assert message == f"prepare: {tmp_path}/nowhere: no such folder; name the class folders with --folder"


def test_exclude_without_folder_is_refused(tmp_path, capsys):
    message, _, _ = run(capsys, "cifar10", "--data_dir", tmp_path, "--exclude", "cat")

    assert message == "prepare: --exclude: leaves out class folders, so it goes with --folder"


def test_imagenet_comes_from_its_two_archives(tmp_path, capsys, monkeypatch):
    manual = tmp_path / "downloads" / "manual"
    lay_imagenet(manual)
    lists = {"labels.txt": ["n02", "n01"], "validation_labels.txt": ["n01", "n02", "n01"]}
    monkeypatch.setattr(imagenet_tars, "_shipped", lists.__getitem__)
    message, out, err = run(capsys, "imagenet2012", "--data_dir", tmp_path)

    assert message is None
    assert out.startswith("imagenet2012: 4 train + 3 test images of 2 classes, ")
    assert "indexing classes: 2 of 2" in err
    source = open_tfds("imagenet2012", str(tmp_path))
    assert [source.test[i]["label"] for i in range(3)] == [1, 0, 1]
    assert [grey(source.train[i]["image"]) for i in range(4)] == [20, 21, 10, 11]


def lay_imagenet(folder):
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


def test_missing_imagenet_archives_are_told_with_where_to_lay_them(tmp_path, capsys):
    message, _, _ = run(capsys, "imagenet2012", "--data_dir", tmp_path)

    assert message.startswith(f"prepare: {tmp_path}/downloads/manual/ILSVRC2012_img_train.tar: no such archive; ")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path, capsys):
    message, _, _ = run(capsys, "cifr10", "--data_dir", tmp_path)

    assert message.startswith("prepare: cifr10: TensorFlow Datasets has no such data set; did you mean cifar10 or ")
    assert message.endswith("For class folders, add --folder")


def test_without_tensorflow_the_package_to_install_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    message, _, _ = run(capsys, "cifar10", "--data_dir", tmp_path)

    assert message == "prepare: cifar10: preparing it needs TensorFlow; run: pip install 'hasnn_jax[prepare]'"


class Builder:
    """Stands for a builder of TFDS: prepares `tiny/1.0.0`, or fails."""

    def __init__(self, data_dir, features=("image", "label"), error=None):
        self.root, self.error = data_dir, error
        self.data_dir = str(data_dir / "tiny" / "1.0.0")
        self.info = type("Info", (), {"features": dict.fromkeys(features)})

    def download_and_prepare(self):
        if self.error:
            raise self.error
        folders = lay_class_folders(self.root / "classes", {"disc": 5, "ring": 5})
        source = dataclasses.replace(open_folder(str(folders)), name="tiny")
        (write_array_records(source, self.root) / SHARDS_FILE).unlink()  # TFDS writes none


@pytest.fixture
def builder(monkeypatch):
    """Lets `tfds.builder` give such a builder; TensorFlow seems to be installed."""

    def install(**options):
        asked = []

        def make(name, data_dir, file_format):
            asked.append((name, file_format))
            return Builder(data_dir, **options)

        monkeypatch.setattr(tfds, "builder", make)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
        return asked

    return install


def test_other_names_are_prepared_by_tfds_and_counted(tmp_path, capsys, builder):
    asked = builder()
    message, out, err = run(capsys, "mnist", "--data_dir", tmp_path)

    assert asked == [("mnist", "array_record")]
    assert message is None
    assert out.startswith("tiny: 8 train + 2 test images of 2 classes, ")
    assert ["disc", "4", "1"] in [line.split() for line in out.splitlines()]
    assert "counting images: 10 of 10" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"features": ["label", "text"]}, "expected the features 'image' and 'label', got ['label', 'text']"),
        ({"error": AssertionError("Manual download:\n  lay it\n  there.")}, "Manual download: lay it there."),
        ({"error": OSError(28, "No space left on device")}, "[Errno 28] No space left on device"),
    ],
    ids=["no images", "manual download", "full disk"],
)
def test_what_tfds_complains_of_is_told_in_one_line(tmp_path, capsys, builder, options, told):
    builder(**options)
    message, _, _ = run(capsys, "mnist", "--data_dir", tmp_path)

    assert message == f"prepare: mnist: could not be prepared: {told}"


def test_progress_is_a_line_now_and_then_without_a_terminal(capsys, monkeypatch):
    seconds = iter(range(100))
    monkeypatch.setattr(prepare.time, "monotonic", lambda: next(seconds))
    with prepare.Progress() as progress:
        for done in range(1, 18):
            progress("writing images", done, 17)

    told = [int(line.split()[2]) for line in capsys.readouterr().err.splitlines()]
    assert told[0] == 1
    assert told[-1] == 17
    assert 3 < len(told) < 9


def test_the_command_runs_and_shows_a_bar_on_a_terminal(tmp_path, folders):
    main_end, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    command = [sys.executable, "-m", "hasnn_jax.data.prepare", "shapes", "--data_dir", tmp_path, "--folder", folders]
    done = subprocess.run(
        command,
        stderr=terminal,
        stdout=subprocess.PIPE,
        cwd=pathlib.Path(prepare.__file__).parents[2],
        text=True,
        timeout=120,
        check=False,
    )
    os.close(terminal)

    assert done.returncode == 0
    assert done.stdout.startswith("shapes: 14 train + 4 test images of 3 classes, ")
    assert b"writing images: 100%|" in os.read(main_end, 65536)


# A data set of TFDS's own making: TensorFlow encodes its images.
PREPARE_WITH_TENSORFLOW = '''
import sys
import tensorflow as tf
import tensorflow_datasets as tfds

class Drawn(tfds.core.GeneratorBasedBuilder):
    """Image i is filled with the value 20 i, its label is i mod 3."""
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        label = tfds.features.ClassLabel(names=["disc", "ring", "star"])
        features = {"image": tfds.features.Image(shape=(None, None, 3)), "label": label}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, manager):
        return {"train": self._generate_examples(9), "test": self._generate_examples(4)}

    def _generate_examples(self, count):
        for i in range(count):
            path = f"{sys.argv[1]}/{i}.jpg"
            tf.io.write_file(path, tf.io.encode_jpeg(tf.fill((8, 6, 3), tf.cast(20 * i, tf.uint8)), quality=100))
            yield i, {"image": path, "label": i % 3}

Drawn(data_dir=sys.argv[1], file_format="array_record").download_and_prepare()
'''

READ = """
import sys
from hasnn_jax.data.tfds_source import open_tfds
from test_prepare import grey

source = open_tfds("drawn", sys.argv[1])
print(source.classes)
for split in (source.train, source.test):
    examples = [split[i] for i in range(len(split))]
    print(sorted((grey(example["image"]), int(example["label"])) for example in examples))
"""


@pytest.mark.slow
@pytest.mark.skipif(TENSORFLOW_PYTHON is None, reason="HASNN_TENSORFLOW_PYTHON names no python that has TensorFlow")
def test_data_prepared_with_tensorflow_in_one_environment_is_read_in_another_that_has_none(tmp_path):
    command = [TENSORFLOW_PYTHON, "-c", PREPARE_WITH_TENSORFLOW, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    poison = tmp_path / "no_tensorflow"
    poison.mkdir()
    (poison / "tensorflow.py").write_text("raise AssertionError('TensorFlow was imported')\n")
    search = [poison, pathlib.Path(prepare.__file__).parents[2], pathlib.Path(__file__).parent]
    read = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": ":".join(map(str, search))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    train, test = ([(20 * i, i % 3) for i in range(count)] for count in (9, 4))

    assert read.returncode == 0, read.stderr
    assert read.stdout == f"('disc', 'ring', 'star')\n{train}\n{test}\n"

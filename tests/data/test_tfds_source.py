"""Data sets prepared by TensorFlow Datasets, read without TensorFlow."""

import importlib.util
import io
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import Preprocessing, evaluation_batches, open_tfds

ROOT = pathlib.Path(__file__).parents[2]
needs_tfds = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_datasets") is None, reason="tensorflow-datasets is not installed"
)

# Prepares data sets without TensorFlow: images are given as PNG files, which are stored unchanged.
PREPARE = '''
import io, sys
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import registered

def png(value):
    file = io.BytesIO()
    Image.fromarray(np.full((4, 5, 3), value, np.uint8)).save(file, "PNG")
    file.seek(0)
    return file

def prepare(name, version, features, splits):
    """Image i of a split is filled with the value 10 i, its label is i mod 2."""

    def info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def generate(count):
        for i in range(count):
            values = {"image": png(10 * i), "label": i % 2, "weight": 0.5}
            yield i, {key: values[key] for key in features}

    with registered.skip_registration():
        builder = type(name, (tfds.core.GeneratorBasedBuilder,), {
            "VERSION": tfds.core.Version(version),
            "_info": info,
            "_split_generators": lambda self, manager: {split: generate(count) for split, count in splits.items()},
            "_generate_examples": generate,
        })
    builder(data_dir=sys.argv[1], file_format="array_record").download_and_prepare()

image, label = tfds.features.Image(shape=(None, None, 3)), tfds.features.ClassLabel(names=["disc", "ring"])
prepare("Shapes", "1.9.0", {"image": image, "label": label}, {"train": 2, "test": 1})
prepare("Shapes", "1.10.0", {"image": image, "label": label}, {"train": 6, "test": 3})
prepare("Validated", "1.0.0", {"image": image, "label": label}, {"train": 2, "validation": 5})
prepare("Untested", "1.0.0", {"image": image, "label": label}, {"train": 2})
prepare("Unlabelled", "1.0.0", {"image": image, "weight": np.float32}, {"train": 2, "test": 1})
prepare("Numbered", "1.0.0", {"image": image, "label": np.int64}, {"train": 2, "test": 1})
'''


def run_python(code, *arguments, path=()):
    """Runs Python code in a process of its own, with `path` before everything else on its search path."""
    search = ":".join(str(p) for p in (*path, ROOT))
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={"PATH": "/usr/bin:/bin", "HOME": str(arguments[0]), "PYTHONPATH": search, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder of data sets that TFDS has prepared."""
    data_dir = tmp_path_factory.mktemp("tfds")
    run_python(PREPARE, data_dir)
    return data_dir


@needs_tfds
def test_images_labels_and_class_names_are_read(prepared):
    source = open_tfds("shapes", str(prepared))
    assert (source.name, source.classes) == ("shapes", ("disc", "ring"))
    assert (len(source.train), len(source.test)) == (6, 3)
    examples = [source.train[i] for i in range(6)]
    for example in examples:
        assert example["label"].dtype == np.int32
        assert "shapes/1.10.0, train, record " in example["name"]
    images = [np.asarray(Image.open(io.BytesIO(example["image"]))) for example in examples]
    values = [(image.min(), image.max(), e["label"]) for image, e in zip(images, examples, strict=True)]
    assert sorted(values) == [(10 * i, 10 * i, i % 2) for i in range(6)]


@needs_tfds
def test_the_newest_version_wins_by_number_not_by_spelling(prepared):
    assert sorted(p.name for p in (prepared / "shapes").iterdir()) == ["1.10.0", "1.9.0"]
    assert len(open_tfds("shapes", str(prepared)).train) == 6  # 1.9.0 has two


@needs_tfds
def test_a_validation_split_serves_as_test_split_if_there_is_no_other(prepared):
    source = open_tfds("validated", str(prepared))
    assert len(source.test) == 5
    assert source.split_names == ("train", "validation")


@needs_tfds
def test_batches_are_read_from_several_threads(prepared):
    test = open_tfds("shapes", str(prepared)).test
    (batch,) = evaluation_batches(test, Preprocessing(num_classes=2, image_size=4), batch_size=3)
    assert batch["image"].shape == (3, 4, 4, 3)
    assert sorted(batch["image"][:, 0, 0, 0]) == [0, 10, 20]


@needs_tfds
def test_reading_never_imports_tensorflow(prepared, tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise AssertionError('TensorFlow was imported')\n")
    code = (
        "import sys; from hasnn_jax.data import open_tfds; s = open_tfds('shapes', sys.argv[1]); "
        "print(type(s.train[0]['image']).__name__, 'tensorflow' in sys.modules)"
    )
    assert run_python(code, prepared, path=[tmp_path]).strip() == "bytes False"


@needs_tfds
def test_a_data_set_without_test_split_is_refused(prepared):
    with pytest.raises(InputError, match=r"^untested: expected a train and a test split, got \['train'\]$"):
        open_tfds("untested", str(prepared))


@needs_tfds
def test_a_data_set_without_labels_is_refused(prepared):
    message = r"^unlabelled: expected the features 'image' and 'label', got \['image', 'weight'\]$"
    with pytest.raises(InputError, match=message):
        open_tfds("unlabelled", str(prepared))


@needs_tfds
def test_labels_that_are_not_classes_are_refused(prepared):
    with pytest.raises(InputError, match=r"^numbered: .*label"):
        open_tfds("numbered", str(prepared))


@needs_tfds
def test_data_prepared_in_another_file_format_is_refused_with_the_command_that_prepares_it(prepared, tmp_path):
    folder = shutil.copytree(prepared / "shapes" / "1.10.0", tmp_path / "shapes" / "1.10.0")
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    for file in folder.glob("*.array_record-*"):
        file.rename(folder / file.name.replace("array_record", "tfrecord"))
    with pytest.raises(InputError, match=r"shapes.*tfrecord.*--file_format=array_record"):
        open_tfds("shapes", str(tmp_path))


def test_missing_data_comes_with_the_commands_that_prepare_it(tmp_path):
    with pytest.raises(InputError) as caught:
        open_tfds("cifar10", str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"cifar10: no prepared data in {tmp_path}/cifar10; to get it, run: ")
    assert f"hasnn prepare cifar10 --data_dir={tmp_path}" in message
    assert "--config.data.data_dir" in message


def test_missing_imagenet_says_where_its_archives_go_first(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError) as caught:
        open_tfds("imagenet2012", "~/data")
    archives, _, build = str(caught.value).partition("run: ")
    for archive in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"):
        assert archive in archives
    assert f"{tmp_path}/data/downloads/manual" in archives
    assert f"hasnn prepare imagenet2012 --data_dir={tmp_path}/data" in build


@needs_tfds
def test_a_damaged_record_is_named(prepared, tmp_path):
    shutil.copytree(prepared / "shapes" / "1.10.0", tmp_path / "shapes" / "1.10.0")
    train = open_tfds("shapes", str(tmp_path)).train
    assert len(train) == 6
    for file in (tmp_path / "shapes" / "1.10.0").glob("*train*"):
        content = bytearray(file.read_bytes())
        content[100:-100] = bytes(len(content) - 200)
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"shapes/1\.10\.0, train, record \d: .*prepare the data set again"):
        _ = [train[i] for i in range(6)]


def test_a_half_prepared_data_set_is_refused(tmp_path):
    unfinished = tmp_path / "pets" / "1.0.0.incomplete"
    unfinished.mkdir(parents=True)
    (unfinished / "dataset_info.json").write_text("{}")
    with pytest.raises(
        InputError, match=f"^{unfinished}: only partly prepared; run the command that prepares it again"
    ):
        open_tfds("pets", str(tmp_path))


def test_without_tensorflow_datasets_the_package_to_install_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)
    (tmp_path / "cifar10" / "3.0.2" / "dataset_info.json").write_text("{}")
    with pytest.raises(InputError, match=r"^cifar10: .*tensorflow-datasets; run: pip install 'hasnn_jax\[tfds\]'$"):
        open_tfds("cifar10", str(tmp_path))

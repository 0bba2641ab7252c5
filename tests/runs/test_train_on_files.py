"""Training on image files, some of them unreadable, through `train_and_evaluate`."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from tiny_runs import tiny_config

from hasnn_jax.common.errors import InputError
from hasnn_jax.data import open_folder
from hasnn_jax.data.array_records import write_array_records
from hasnn_jax.trainer import train_and_evaluate

pytestmark = pytest.mark.slow


@pytest.fixture
def pictures(tmp_path):
    """Two classes of forty training and nine test pictures."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 9)):
        for label, name in enumerate(("dark", "light")):
            (tmp_path / "pictures" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 120, (12, 10, 3)) + 130 * label
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "pictures" / split / name / f"{i:02}.jpg")
    return tmp_path / "pictures"


def config_for(pictures, **changes):
    folder = {"data__source": "folder", "data__data_dir": str(pictures), "data__name": "pictures"}
    return tiny_config(**{**folder, "data__num_classes": 2, "batch_size": 16, "epochs": 1, **changes})


def break_files(pictures):
    for path in ("train/dark/07.jpg", "test/light/03.jpg"):
        (pictures / path).write_bytes(b"no image")


def test_an_unreadable_image_stops_the_run_with_its_path(pictures, tmp_path):
    break_files(pictures)
    with pytest.raises(InputError, match=r"train/dark/07\.jpg: cannot be read as an image"):
        train_and_evaluate(config_for(pictures), tmp_path / "run")


def test_unreadable_images_are_replaced_and_counted_on_request(pictures, tmp_path, capsys):
    break_files(pictures)
    outcome = train_and_evaluate(config_for(pictures, data__on_bad_image="skip"), tmp_path / "run")
    assert outcome["complete"]
    *_, training, test = (line for line in capsys.readouterr().err.splitlines() if line.startswith("step "))
    assert "1 unreadable images replaced" in training
    assert "(1 unreadable images left out)" in test
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert records[-1]["unreadable"] == 1


def test_a_folder_and_prepared_records_read_by_workers_train_alike(pictures, tmp_path):
    augmented = {"data__crop_scale": 0.5, "data__flip": True, "data__shift": 1}
    train_and_evaluate(config_for(pictures, **augmented), tmp_path / "folder")
    write_array_records(open_folder(str(pictures)), tmp_path / "prepared", examples_per_shard=13)
    tfds = {"data__source": "tfds", "data__data_dir": str(tmp_path / "prepared"), "data__workers": 2}
    train_and_evaluate(config_for(pictures, **augmented, **tfds), tmp_path / "tfds")

    metrics = [(tmp_path / run / "metrics.jsonl").read_bytes() for run in ("folder", "tfds")]
    assert len(metrics[0].splitlines()) == 4
    assert metrics[0] == metrics[1]


def test_a_config_with_another_number_of_classes_is_refused(pictures, tmp_path):
    with pytest.raises(InputError, match=r"config\.data\.num_classes: pictures has 2 classes, got 3"):
        train_and_evaluate(config_for(pictures, data__num_classes=3), tmp_path / "run")


def test_an_image_of_32_bits_is_refused_with_its_path(pictures, tmp_path):
    file = io.BytesIO()
    Image.fromarray(np.ones((4, 4), np.float32)).save(file, "TIFF")
    (pictures / "train" / "dark" / "00.tif").write_bytes(file.getvalue())
    with pytest.raises(InputError, match=r"dark/00\.tif: has values of 32 bits"):
        train_and_evaluate(config_for(pictures), tmp_path / "run")

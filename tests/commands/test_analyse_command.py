"""`hasnn analyse` as a person types it; what it measures is tested in `tests/analysis/`."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from small_weights import save_small_weights
from typed import typed

import hasnn_jax
from hasnn_jax.analysis.layer_costs import model_cost
from hasnn_jax.checkpoints import folders
from hasnn_jax.config import default_config, flatten
from hasnn_jax.data import Preprocessing, open_digits
from hasnn_jax.inference.sample_images import sample_batches


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_small_weights(tmp_path_factory.mktemp("weights") / "weights")


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (9, 9, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.mark.slow
def test_pictures_are_measured_as_text_json_and_drawn(weights, pictures, tmp_path, capsys):
    message, text, err = typed(
        "analyse", weights, pictures, "--images", 2, "--picture", tmp_path / "cost.png", capsys=capsys
    )
    assert message is None
    cost = model_cost(hasnn_jax.load(weights).model, (8, 8, 3))
    assert text.startswith(f"{cost.parameters:,} parameters, ")
    assert "measured on 2 images" in text
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")
    assert f"drawn in {tmp_path / 'cost.png'}" in err

    message, text, _ = typed("analyse", weights, pictures, "--json", capsys=capsys)
    found = json.loads(text)
    assert (message, found["images"], found["parameters"]) == (None, 3, cost.parameters)
    assert found["totals"]["all"]["macs"] == cost.macs()
    assert found["gradients"] == {}  # pictures have no labels


def test_a_runs_test_images_are_spread_over_the_split_and_labelled(tmp_path):
    (tmp_path / folders.CHECKPOINTS / "7").mkdir(parents=True)
    config = json.loads(json.dumps(flatten(default_config())))
    (tmp_path / folders.CONFIG_FILE).write_text(json.dumps({**config, "a key of another version": 1}))
    digits = save_small_weights(tmp_path / "digits", channels=1)
    model = dataclasses.replace(hasnn_jax.load(digits), preprocessing=Preprocessing(10, 8))
    test = open_digits().test
    for workdir in (tmp_path, tmp_path / folders.CHECKPOINTS / "7"):
        count, batches = sample_batches(model, workdir, 3)
        ((images, labels),) = batches
        chosen = [test[i] for i in (0, (len(test) - 1) // 2, len(test) - 1)]
        assert count == 3
        np.testing.assert_array_equal(labels, [example["label"] for example in chosen])
        np.testing.assert_array_equal(images, [example["image"] / np.float32(255) for example in chosen])
    count, batches = sample_batches(model, tmp_path, 1000)
    assert count == len(test) == sum(len(labels) for _, labels in batches)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{weights}"], "converted weights do not say what they were tested on; name images to measure"),
        (["{weights}", "--images", "0"], "--images: expected 1 or more, got 0"),
        (["{weights}", "nowhere.png"], "nowhere.png: no such image or folder"),
        (["{weights}", "--picture", "{weights}"], "exists already; remove it"),
    ],
)
def test_bad_input_is_one_line(arguments, message, weights, capsys):
    said, out, _ = typed("analyse", *(argument.format(weights=weights) for argument in arguments), capsys=capsys)
    assert message in said
    assert len(said.splitlines()) == 1
    assert out == ""

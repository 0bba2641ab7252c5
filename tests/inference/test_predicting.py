"""Probabilities: the same alone and in company, those of the model, and only of images that fit."""

import jax
import numpy as np
import pytest
from small_weights import byte_images, save_small_weights
from tiny_models import evaluate

import hasnn_jax
from hasnn_jax import core
from hasnn_jax.common.errors import InputError
from hasnn_jax.inference.exporting import export_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return hasnn_jax.load(save_small_weights(tmp_path_factory.mktemp("weights") / "weights"))


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    return hasnn_jax.load(save_small_weights(tmp_path_factory.mktemp("weights") / "released", "as_released"))


def test_probabilities_are_the_softmax_of_the_logits(model):
    images = byte_images(5)
    probabilities = model.predict(images)
    logits = evaluate(model.model, model.variables, images.astype(np.float32) / np.float32(255))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, jax.nn.softmax(logits), atol=1e-5)


def test_an_image_has_the_same_probabilities_alone_and_in_any_batch(model):
    images = byte_images(37)
    alone = np.concatenate([model.predict(image[None]) for image in images])
    np.testing.assert_array_equal(model.predict(images), alone)
    np.testing.assert_array_equal(model.predict(images[::-1])[::-1], alone)


def test_bytes_and_unit_floats_are_the_same_image(model):
    images = byte_images(2)
    np.testing.assert_array_equal(model.predict(images), model.predict(images.astype(np.float32) / np.float32(255)))


def test_a_range_of_the_whole_batch_is_warned_of(released):
    assert released.depends_on_batch
    with pytest.warns(UserWarning, match="depends on the other images"):
        together = released.predict(byte_images(3))
    with pytest.warns(UserWarning, match="depends on the other images"):
        alone = released.predict(byte_images(3)[:1])
    assert together.shape == (3, 5)
    assert alone.shape == (1, 5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), r"expected \[batch, 8, 8, 3\], got shape \(8, 8, 3\)"),
        (np.zeros((1, 8, 8, 1), np.uint8), r"got shape \(1, 8, 8, 1\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"got shape \(0, 8, 8, 3\)"),
        (np.zeros((1, 8, 8, 3), np.int64), "expected uint8, or floating"),
        (np.full((1, 8, 8, 3), 7.0, np.float32), "got 7.0 to 7.0; give 8-bit images as uint8"),
        (np.full((1, 8, 8, 3), np.nan, np.float32), "without NaN"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, message, model):
    with pytest.raises(InputError, match=message):
        model.predict(images)


def test_features_are_named_in_the_order_of_the_network_and_add_up(model):
    images = byte_images(2)
    features = model.features(images)
    blocks = [name for name in features if "/" not in name]
    assert blocks == ["block1", "block2", "head", "logits"]
    for block in blocks[:-1]:
        np.testing.assert_array_equal(features[block], features[f"{block}/ann"] + features[f"{block}/snn"])
        spikes = features[f"{block}/spikes"]
        np.testing.assert_array_equal(features[f"{block}/snn"], core.decode_bit_planes(spikes))
        assert set(np.unique(features[f"{block}/planes"])) <= {0, 1}
        assert spikes.shape == (8, *features[block].shape)
    bounds = (model.variables["batch_stats"]["block1"]["encoder"][bound] for bound in ("low", "high"))
    planes = core.encode(images.astype(np.float32) / np.float32(255), core.BitPlaneCoding(), tuple(bounds))
    np.testing.assert_array_equal(features["block1/planes"], planes)
    np.testing.assert_allclose(jax.nn.softmax(features["logits"]), model.predict(images), atol=1e-5)


def test_a_pure_ann_has_no_spikes(tmp_path):
    model = hasnn_jax.load(save_small_weights(tmp_path / "ann", paths=("ann",)))
    assert set(model.features(byte_images(1))) == {
        "block1", "block1/ann", "block2", "block2/ann", "head", "head/ann", "logits"
    }  # fmt: skip


def test_an_exported_model_is_predict_for_any_batch(model, tmp_path):
    path = tmp_path / "model.stablehlo"
    assert export_model(model, path) == path.stat().st_size
    exported = jax.export.deserialize(bytearray(path.read_bytes()))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    for batch in (1, 7):
        images = byte_images(batch, seed=batch)
        np.testing.assert_allclose(exported.call(images), model.predict(images), rtol=0, atol=1e-6)


def test_an_existing_file_is_not_overwritten(model, tmp_path):
    (tmp_path / "kept").write_text("kept")
    with pytest.raises(InputError, match="kept: exists already"):
        export_model(model, tmp_path / "kept")
    assert (tmp_path / "kept").read_text() == "kept"


def test_a_folder_that_does_not_exist_is_one_line(model, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        export_model(model, tmp_path / "nowhere" / "model")

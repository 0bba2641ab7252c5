"""Weights on disk become a model with all that it needs."""

import numpy as np
import pytest
from small_weights import CLASSES, NAME, byte_images, save_small_weights

import hasnn_jax
from hasnn_jax.common.errors import InputError


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_small_weights(tmp_path_factory.mktemp("weights") / "weights")


def test_name_classes_preprocessing_and_shape_come_from_the_weights(weights):
    model = hasnn_jax.load(weights)
    assert (model.name, model.classes, model.image_shape) == (NAME, CLASSES, (8, 8, 3))
    assert (model.preprocessing.image_size, model.preprocessing.resize_shorter) == (8, None)
    assert not model.depends_on_batch


def test_a_centre_crop_is_kept_unless_another_size_is_asked_for(tmp_path):
    weights = save_small_weights(tmp_path / "weights", resize_shorter=10)
    assert hasnn_jax.load(weights).preprocessing.resize_shorter == 10
    other = hasnn_jax.load(weights, image_size=16)
    assert (other.image_shape, other.preprocessing.resize_shorter) == ((16, 16, 3), None)


def test_weights_without_class_names_can_be_given_some(tmp_path):
    weights = save_small_weights(tmp_path / "weights", classes=None)
    assert hasnn_jax.load(weights).classes is None
    assert hasnn_jax.load(weights, classes=CLASSES).classes == CLASSES
    with pytest.raises(InputError, match="expected 5 class names, got 2"):
        hasnn_jax.load(weights, classes=("a", "b"))


def test_weights_that_do_not_say_their_image_size_need_one(tmp_path):
    weights = save_small_weights(tmp_path / "weights", image_size=None)
    with pytest.raises(InputError, match="what size its images have"):
        hasnn_jax.load(weights)
    assert hasnn_jax.load(weights, image_size=8).image_shape == (8, 8, 3)


def test_no_weights_are_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="nowhere: holds no weights; expected a run's workdir"):
        hasnn_jax.load(tmp_path / "nowhere")


def test_arrays_of_another_model_are_refused(tmp_path):
    weights = save_small_weights(tmp_path / "weights", name="has8_vgg_b2_m1_d1")
    with pytest.raises(InputError, match="holds other arrays than its model has"):
        hasnn_jax.load(weights)


def test_the_package_says_what_it_does_not_have():
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        hasnn_jax.lode  # noqa: B018


def test_statistics_groups_of_training_do_not_matter(tmp_path):
    weights = save_small_weights(tmp_path / "weights", statistics_group=4)
    assert hasnn_jax.load(weights).predict(byte_images(3)).shape == (3, 5)
    assert np.isfinite(hasnn_jax.load(weights).predict(byte_images(1))).all()

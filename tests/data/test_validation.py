"""Validation images: held out of the training images, the same ones every time, with the test images left alone."""

import numpy as np
import pytest

from hasnn_jax.assembly.data import open_source
from hasnn_jax.common.errors import InputError
from hasnn_jax.config import default_config
from hasnn_jax.data import hold_out, open_digits


@pytest.fixture(scope="module")
def digits():
    return open_digits()


def images_of(split):
    return sorted(split[i]["image"].tobytes() for i in range(len(split)))


def test_training_images_are_divided_into_two_parts(digits):
    source = hold_out(digits, 0.25)

    assert len(source.test) == round(0.25 * len(digits.train))
    assert sorted(images_of(source.train) + images_of(source.test)) == images_of(digits.train)


def test_the_test_images_are_left_out(digits):
    known = set(images_of(digits.train))

    assert all(image in known for image in images_of(hold_out(digits, 0.5).test))


def test_the_same_images_are_held_out_every_time(digits):
    first, second = hold_out(digits, 0.1), hold_out(digits, 0.1)

    np.testing.assert_array_equal(first.test.members, second.test.members)
    assert first.split_names == ("train", "held out of train")


def test_every_class_is_among_the_images_that_are_held_out(digits):
    source = hold_out(digits, 0.1)

    assert {int(source.test[i]["label"]) for i in range(len(source.test))} == set(range(10))


def test_something_is_left_to_train_on(digits):
    with pytest.raises(InputError, match=r"config.data.validation: 0.9999 of 1438 images leaves none"):
        hold_out(digits, 0.9999)


def test_the_setting_replaces_the_test_images():
    config = default_config()
    everything = open_source(config.data)
    config.data.validation = 0.1
    source = open_source(config.data)

    assert len(source.train) + len(source.test) == len(everything.train)

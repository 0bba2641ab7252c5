"""The embedded digits: the same images as scikit-learn's, in a split that never changes."""

import zlib

import numpy as np
import pytest

from hasnn_jax.data import open_digits


@pytest.fixture(scope="module")
def digits():
    return open_digits()


def everything(source):
    images = np.concatenate([source.train.images, source.test.images])
    return images, np.concatenate([source.train.labels, source.test.labels])


def test_images_and_labels_are_those_of_scikit_learn(digits):
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_digits()
    ink = theirs.images.astype(int)  # 0..16; a sixteenth of 255 is 15.9375
    expected = sorted(
        (image.tobytes(), int(label))
        for image, label in zip(((ink * 255 + 8) // 16).astype(np.uint8), theirs.target, strict=True)
    )
    images, labels = everything(digits)
    assert sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)) == expected


def test_all_1797_images_are_there_four_fifths_of_them_for_training(digits):
    assert (len(digits.train), len(digits.test)) == (1438, 359)


def test_values_spread_over_all_of_a_byte(digits):
    images, _ = everything(digits)
    assert images.dtype == np.uint8
    assert images.shape == (1797, 8, 8, 1)
    assert (images.min(), images.max(), len(np.unique(images))) == (0, 255, 17)


def test_every_class_gives_a_fifth_to_the_test_split(digits):
    train, test = (np.bincount(split.labels, minlength=10) for split in (digits.train, digits.test))
    assert len(train) == len(test) == len(digits.classes)
    np.testing.assert_allclose(test, 0.2 * (train + test), rtol=0, atol=0.5)


def test_split_is_the_one_that_published_numbers_were_measured_on(digits):
    assert zlib.crc32(digits.test.images.tobytes()) == TEST_IMAGES_CRC
    assert zlib.crc32(digits.test.labels.astype("<i4").tobytes()) == TEST_LABELS_CRC


def test_opening_twice_gives_the_same_split(digits):
    again = open_digits()
    np.testing.assert_array_equal(again.train.images, digits.train.images)
    np.testing.assert_array_equal(again.test.labels, digits.test.labels)


def test_an_example_is_an_image_and_its_label(digits):
    example = digits.train[3]
    assert example.keys() == {"image", "label"}
    assert (example["image"].shape, example["image"].dtype) == ((8, 8, 1), np.uint8)
    assert digits.classes[example["label"]] == str(digits.train.labels[3])


TEST_IMAGES_CRC = 3220458447
TEST_LABELS_CRC = 2720914156

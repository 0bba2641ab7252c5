"""Random erasing: a rectangle becomes black, as often and as large as it should."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnn_jax.data.transforms import erase


def bright_image(height, width, channels, seed=0):
    """No pixel is black, so that what was erased shows."""
    return np.random.default_rng(seed).integers(1, 256, (height, width, channels), dtype=np.uint8)


def erased_box(image, result):
    """top, left, height, width of the black rectangle; checks that nothing else has changed."""
    black = (result == 0).all(axis=-1)
    if not black.any():
        np.testing.assert_array_equal(result, image)
        return 0, 0, 0, 0
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    box = rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    assert black.sum() == box[2] * box[3]
    np.testing.assert_array_equal(result[~black], image[~black])
    return box


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(0, 1000))
def test_one_rectangle_smaller_than_the_image_becomes_black_and_the_input_is_left_alone(height, width, channels, seed):
    image = bright_image(height, width, channels)
    before = image.copy()
    result, again = (erase(image, 1.0, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result, again)
    _, _, tall, wide = erased_box(image, result)
    assert tall < height or tall == 0
    assert wide < width or wide == 0
    assert tall * wide <= 0.33 * height * width + (tall + wide) / 2 + 1  # sides are rounded


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0, 0), (0.25, 200, 300), (1.0, 1000, 1000)])
def test_so_many_images_are_erased(probability, low, high):
    image, generator = bright_image(32, 32, 3), np.random.default_rng(0)
    changed = sum(not np.array_equal(erase(image, probability, generator), image) for _ in range(1000))
    assert low <= changed <= high


def test_areas_shapes_and_places_come_from_the_whole_range():
    image, generator = bright_image(100, 100, 1), np.random.default_rng(0)
    boxes = np.array([erased_box(image, erase(image, 1.0, generator)) for _ in range(1500)])
    top, left, tall, wide = boxes.T
    share = tall * wide / 100**2
    assert 0.018 < share.min() < 0.03
    assert 0.31 < share.max() < 0.34
    assert 0.165 < share.mean() < 0.185
    assert 0.28 < (tall / wide).min() < 0.34
    assert 3.0 < (tall / wide).max() < 3.5
    assert abs(np.log(tall / wide).mean()) < 0.06
    assert top.min() == left.min() == 0
    assert (top + tall).max() == (left + wide).max() == 100


@pytest.mark.parametrize("shape", [(1, 60, 3), (60, 1, 1)])
def test_an_image_of_one_line_stays(shape):
    image = bright_image(*shape)
    for seed in range(50):
        np.testing.assert_array_equal(erase(image, 1.0, np.random.default_rng(seed)), image)

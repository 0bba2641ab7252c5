"""Which part of an image is taken; mirroring and shifting of single images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnn_jax.data import transforms


def random_image(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@given(st.integers(1, 500), st.integers(1, 500))
def test_the_whole_image_is_all_of_it(width, height):
    assert transforms.whole(width, height) == (0, 0, width, height)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0.1, 1))
def test_the_centre_square_is_in_the_middle_and_has_its_share_of_the_shorter_side(width, height, share):
    left, top, right, bottom = transforms.centre_square(width, height, share)
    assert right - left == pytest.approx(share * min(width, height))
    assert bottom - top == pytest.approx(right - left)
    assert left + right == pytest.approx(width)
    assert top + bottom == pytest.approx(height)
    assert left >= -1e-9
    assert top >= -1e-9


@settings(max_examples=300)
@given(st.integers(1, 500), st.integers(1, 500), st.floats(0.01, 1), st.integers(0, 1000))
def test_a_random_part_lies_inside_the_image(width, height, smallest, seed):
    left, top, right, bottom = transforms.random_part(width, height, smallest, np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_random_parts_have_areas_shapes_and_places_from_the_whole_range():
    generator = np.random.default_rng(0)
    boxes = np.array([transforms.random_part(400, 400, 0.08, generator) for _ in range(2000)])
    wide, tall = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    share = wide * tall / 400**2
    assert 0.078 < share.min() < 0.1
    assert share.max() > 0.9
    assert 0.74 < (wide / tall).min() < 0.78
    assert 1.28 < (wide / tall).max() < 1.35
    assert abs(np.log(wide / tall).mean()) < 0.03
    assert boxes[:, :2].min() == 0
    assert boxes[:, 2].max() == 400
    assert boxes[:, 3].max() == 400


def test_an_image_too_long_for_any_part_gives_its_middle():
    left, top, right, bottom = transforms.random_part(1000, 10, 1.0, np.random.default_rng(0))
    assert (top, bottom) == (0, 10)
    assert right - left == pytest.approx(10 * 4 / 3)
    assert left + right == pytest.approx(1000)


@pytest.mark.parametrize("channels", [1, 3])
def test_flip_mirrors_half_of_the_images_and_leaves_the_rest(channels):
    image = random_image(4, 5, channels)
    mirrored = image[:, [4, 3, 2, 1, 0]]
    generator = np.random.default_rng(0)
    flips = 0
    for _ in range(400):
        result = transforms.flip_horizontally(image, generator)
        flipped = np.array_equal(result, mirrored)
        assert flipped or np.array_equal(result, image)
        flips += flipped
    assert 150 < flips < 250


def translated(image, down, right):
    """The image moved on a black ground."""
    height, width = image.shape[:2]
    moved = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                moved[y, x] = image[y - down, x - right]
    return moved


@pytest.mark.parametrize("pixels", [1, 2])
def test_shift_reaches_every_translation_up_to_its_bound_equally_often_and_no_other(pixels):
    image = random_image(5, 4, 1) | 1  # no black pixel, so translations differ
    moves = [(d, r) for d in range(-pixels, pixels + 1) for r in range(-pixels, pixels + 1)]
    table = {translated(image, *move).tobytes(): move for move in moves}
    assert len(table) == len(moves)
    generator = np.random.default_rng(0)
    draws = [table[transforms.shift(image, pixels, generator).tobytes()] for _ in range(60 * len(moves))]
    counts = [draws.count(move) for move in moves]
    assert min(counts) > 30
    assert max(counts) < 100


def test_shift_keeps_shape_and_type():
    shifted = transforms.shift(random_image(6, 3, 3), 2, np.random.default_rng(0))
    assert (shifted.shape, shifted.dtype) == ((6, 3, 3), np.uint8)


@pytest.mark.parametrize("transform", [transforms.flip_horizontally, lambda i, g: transforms.shift(i, 2, g)])
def test_random_transforms_leave_their_input_alone_and_follow_their_generator(transform):
    image = random_image(6, 6, 3)
    before = image.copy()
    first = [transform(image, np.random.default_rng(seed)) for seed in range(8)]
    again = [transform(image, np.random.default_rng(seed)) for seed in range(8)]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(image, before)
    assert any(not np.array_equal(result, image) for result in first)

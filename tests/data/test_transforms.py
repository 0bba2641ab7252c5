"""Resizing, mirroring and shifting of single images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnn_jax.data import transforms


def random_image(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.integers(1, 40))
def test_resize_equals_triangle_filtering_along_both_axes(height, width, channels, size):
    image = random_image(height, width, channels)
    resized = transforms.resize(image, size)
    assert (resized.shape, resized.dtype) == ((size, size, channels), np.uint8)
    expected = np.einsum("ij,jkc,lk->ilc", triangle_filter(height, size), image, triangle_filter(width, size))
    np.testing.assert_allclose(resized, expected, rtol=0, atol=1.51)  # the library rounds after each axis


def triangle_filter(length, size):
    """Weights [size, length] of bilinear interpolation, widened to the stride where it shrinks."""
    stride = length / size
    width = max(stride, 1)
    distance = np.abs((np.arange(size)[:, None] + 0.5) * stride - (np.arange(length) + 0.5))
    weights = np.maximum(1 - distance / width, 0)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_of_the_right_size_is_returned_as_it_is(channels):
    image = random_image(9, 9, channels)
    assert transforms.resize(image, 9) is image


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

"""RandAugment: what each operation does, how strong it is, and how operations are drawn."""

import collections
import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hasnn_jax.data.randaugment import OPERATIONS, randaugment

CHANNELS = [1, 3]
NAMES = sorted(OPERATIONS)
SIGNED = {name for name, operation in OPERATIONS.items() if operation.signed}


def random_image(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def apply(name, image, strength=0.0):
    """One operation on an array [H, W, C]."""
    pixels = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    return np.asarray(OPERATIONS[name].apply(pixels, strength)).reshape(image.shape)


def strengths(name, width=100, height=50):
    return [OPERATIONS[name].strength(magnitude, (width, height)) for magnitude in range(31)]


@settings(deadline=None, max_examples=200)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(CHANNELS),
    st.integers(0, 4),
    st.integers(0, 30),
    st.integers(0, 1000),
)
def test_shape_and_type_stay_the_input_is_left_alone_and_the_generator_decides(h, w, c, count, magnitude, seed):
    image = random_image(h, w, c, seed)
    before = image.copy()
    result, again = (randaugment(image, count, magnitude, np.random.default_rng(seed)) for _ in range(2))
    assert (result.shape, result.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result, again)


def test_no_operation_leaves_the_image():
    image = random_image(5, 4, 3)
    np.testing.assert_array_equal(randaugment(image, 0, 30, np.random.default_rng(0)), image)


def test_an_image_that_was_mirrored_by_a_view_of_it_is_taken():
    image = random_image(5, 4, 3)
    mirrored, copied = (randaugment(x, 2, 9, np.random.default_rng(1)) for x in (image[:, ::-1], image[:, ::-1].copy()))
    np.testing.assert_array_equal(mirrored, copied)


@pytest.mark.parametrize(
    ("name", "weakest", "strongest"),
    [
        ("shear_x", 0, 0.3),
        ("shear_y", 0, 0.3),
        ("translate_x", 0, 100 * 150 / 331),
        ("translate_y", 0, 50 * 150 / 331),
        ("rotate", 0, 30),
        ("brightness", 0, 0.9),
        ("color", 0, 0.9),
        ("contrast", 0, 0.9),
        ("sharpness", 0, 0.9),
        ("solarize", 1, 0),
    ],
)
def test_strengths_go_in_31_equal_steps_from_nothing_to_the_largest(name, weakest, strongest):
    np.testing.assert_allclose(strengths(name), np.linspace(weakest, strongest, 31), rtol=1e-6, atol=1e-7)


def test_posterize_keeps_8_down_to_4_bits():
    bits = strengths("posterize")
    assert (bits[0], bits[15], bits[30]) == (8, 6, 4)
    assert bits == sorted(bits, reverse=True)
    assert set(bits) == {4, 5, 6, 7, 8}


def test_what_moves_or_turns_or_changes_the_look_has_a_sign():
    assert set(NAMES) - SIGNED == {"identity", "posterize", "solarize", "auto_contrast", "equalize"}


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"auto_contrast", "equalize", "solarize"}))
def test_at_magnitude_0_the_image_stays(name, channels):
    image = random_image(9, 7, channels)
    np.testing.assert_array_equal(apply(name, image, OPERATIONS[name].strength(0, (7, 9))), image)


@pytest.mark.parametrize("channels", CHANNELS)
def test_translating_moves_by_whole_pixels_and_brings_in_black(channels):
    image = random_image(6, 5, channels)
    moved = np.zeros_like(image)
    moved[:, 2:] = image[:, :-2]
    np.testing.assert_array_equal(apply("translate_x", image, 2.9), moved)
    moved = np.zeros_like(image)
    moved[:-3] = image[3:]
    np.testing.assert_array_equal(apply("translate_y", image, -3.0), moved)


@pytest.mark.parametrize("channels", CHANNELS)
def test_shearing_moves_each_line_in_proportion_to_its_place(channels):
    image = random_image(8, 8, channels)
    sheared = np.zeros_like(image)
    for y in range(8):
        for x in range(8):
            source = int(np.floor(x + 0.5 + 0.25 * (y + 0.5)))
            if source < 8:
                sheared[y, x] = image[y, source]
    np.testing.assert_array_equal(apply("shear_x", image, 0.25), sheared)
    transposed = image.swapaxes(0, 1).copy()
    np.testing.assert_array_equal(apply("shear_y", transposed, 0.25), sheared.swapaxes(0, 1))


def test_rotating_by_a_quarter_turn_is_exact_and_counterclockwise():
    image = random_image(6, 6, 3)
    np.testing.assert_array_equal(apply("rotate", image, 90.0), np.rot90(image))


@pytest.mark.parametrize("channels", CHANNELS)
def test_posterizing_clears_the_lower_bits(channels):
    image = random_image(6, 6, channels)
    np.testing.assert_array_equal(apply("posterize", image, 5), image & 0b11111000)


@pytest.mark.parametrize("channels", CHANNELS)
def test_solarizing_inverts_values_from_the_threshold_on(channels):
    image = random_image(6, 6, channels)
    image[0, 0] = 204  # the threshold
    expected = np.where(image >= 204, 255 - image, image)
    np.testing.assert_array_equal(apply("solarize", image, 204 / 255), expected)


def test_brightness_scales_contrast_leads_away_from_the_mean_and_colour_from_grey():
    image = random_image(6, 6, 3)
    np.testing.assert_allclose(apply("brightness", image, -0.5), image // 2, atol=1)
    assert not apply("brightness", image, -1.0).any()
    flat = apply("contrast", image, -1.0)
    assert np.unique(flat).size == 1
    assert abs(int(flat[0, 0, 0]) - image.mean()) < 12
    colourless = apply("color", image, -1.0)
    np.testing.assert_array_equal(colourless[..., 0], colourless[..., 1])
    np.testing.assert_array_equal(colourless[..., 0], colourless[..., 2])


def test_colour_leaves_a_grey_image():
    image = random_image(6, 6, 1)
    np.testing.assert_array_equal(apply("color", image, 0.7), image)


def test_sharpness_blurs_or_sharpens_an_edge():
    image = np.full((6, 6, 1), 80, np.uint8)
    image[:, 3:] = 160
    blurred, sharpened = (apply("sharpness", image, s).astype(int)[1:-1, :, 0] for s in (-0.9, 0.9))
    assert (blurred[:, 3] - blurred[:, 2] < 80).all()
    assert (sharpened[:, 3] - sharpened[:, 2] > 80).all()


@pytest.mark.parametrize("channels", CHANNELS)
def test_auto_contrast_stretches_each_channel_to_0_to_255(channels):
    image = 100 + random_image(8, 8, channels) // 8
    stretched = apply("auto_contrast", image)
    assert (stretched.min(axis=(0, 1)) == 0).all()
    assert (stretched.max(axis=(0, 1)) == 255).all()
    order = np.argsort(image.reshape(-1, channels), axis=0)
    assert (np.diff(np.take_along_axis(stretched.reshape(-1, channels).astype(int), order, 0), axis=0) >= 0).all()


def test_equalizing_makes_the_histogram_flat():
    image = (random_image(64, 64, 1) ** 2.0 / 300).astype(np.uint8)
    histogram = np.histogram(apply("equalize", image), bins=4, range=(0, 256))[0]
    assert np.abs(histogram / image.size - 0.25).max() < 0.1
    assert np.abs(np.histogram(image, bins=4, range=(0, 256))[0] / image.size - 0.25).max() > 0.2


@pytest.fixture
def drawn(monkeypatch):
    """What is applied: (name, strength) in order."""
    calls = []
    for name, operation in OPERATIONS.items():

        def note(image, strength, name=name):
            calls.append((name, strength))
            return image

        monkeypatch.setitem(OPERATIONS, name, dataclasses.replace(operation, apply=note))
    return calls


def test_operations_are_drawn_evenly_and_so_are_signs(drawn):
    image, generator = random_image(4, 4, 3), np.random.default_rng(0)
    for _ in range(1400):
        randaugment(image, 3, 30, generator)
    assert len(drawn) == 3 * 1400
    counts = collections.Counter(name for name, _ in drawn)
    assert counts.keys() == OPERATIONS.keys()
    assert min(counts.values()) > 240
    assert max(counts.values()) < 360
    for name in SIGNED:
        negative = sum(strength < 0 for drawn_name, strength in drawn if drawn_name == name)
        assert 0.4 < negative / counts[name] < 0.6
    assert all(strength >= 0 for name, strength in drawn if name not in SIGNED)


def test_all_operations_of_an_image_have_one_magnitude(drawn):
    for _ in range(100):
        randaugment(random_image(4, 6, 3), 2, 12, np.random.default_rng(len(drawn)))
    for name, strength in drawn:
        assert abs(strength) == OPERATIONS[name].strength(12, (6, 4))

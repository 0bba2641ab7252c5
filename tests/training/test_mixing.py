"""Mixup and cutmix: which pixels and labels a mixed image has, and how a step draws its mix."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnn_jax.training.mixing import Mix, cutmix_of, draw_mix, mix_images, mix_labels, mixup_of, of_partners
from hasnn_jax.training.steps import unit_images

HEIGHT, WIDTH = 12, 20
jitted_mix_images = jax.jit(mix_images, static_argnums=2)
jitted_cutmix_of = jax.jit(cutmix_of, static_argnums=(2, 3))


def draw_images(count=6, height=HEIGHT, width=WIDTH, channels=3):
    values = np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    return unit_images(jnp.asarray(values))


@functools.cache
def drawer(**how):
    """(steps, seed) -> their mixes, compiled."""
    return jax.jit(jax.vmap(lambda step, seed: draw_mix(step, HEIGHT, WIDTH, seed=seed, **how), in_axes=(0, None)))


def draw_many(count, first=0, seed=0, **how):
    """The mixes of consecutive steps, each field with a leading axis."""
    return jax.tree.map(np.asarray, drawer(**how)(jnp.arange(first, first + count), jnp.uint32(seed)))


@pytest.mark.parametrize(
    ("group", "expected"), [(None, [5, 0, 1, 2, 3, 4]), (2, [1, 0, 3, 2, 5, 4]), (3, [2, 0, 1, 5, 3, 4])]
)
def test_the_partner_is_the_one_before_in_the_group(group, expected):
    assert list(of_partners(jnp.arange(6), group)) == expected


@pytest.mark.parametrize("group", [None, 2, 3])
def test_mixup_blends_image_and_partner(group):
    images = draw_images()
    mixed = mix_images(images, mixup_of(0.3), group)
    partners = np.asarray(of_partners(images, group), np.float64)
    assert (mixed.shape, mixed.dtype) == (images.shape, jnp.float32)
    np.testing.assert_allclose(mixed, 0.3 * np.asarray(images, np.float64) + 0.7 * partners, atol=1e-6)


@pytest.mark.parametrize("group", [None, 2, 3])
def test_cutmix_takes_a_rectangle_from_the_partner_and_changes_no_bit_of_a_pixel(group):
    images = draw_images()
    mix = cutmix_of(0.75, jnp.array([6, 4]), HEIGHT, WIDTH)  # sides of half the image's: 6 and 10 pixels
    expected = np.array(images)
    expected[:, 3:9, 0:9] = np.asarray(of_partners(images, group))[:, 3:9, 0:9]
    np.testing.assert_array_equal(mix_images(images, mix, group), expected)
    np.testing.assert_allclose(mix.share, 1 - 6 * 9 / (HEIGHT * WIDTH), rtol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 1, width=32), st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1))
def test_the_rectangle_lies_in_the_image_and_the_share_is_what_it_leaves(share, row, column):
    mix = jitted_cutmix_of(share, jnp.array([row, column]), HEIGHT, WIDTH)
    top, left, bottom, right = (int(x) for x in mix.box)
    assert 0 <= top <= bottom <= HEIGHT
    assert 0 <= left <= right <= WIDTH
    own, other = jnp.zeros((1, HEIGHT, WIDTH, 1)), jnp.ones((1, HEIGHT, WIDTH, 1))
    mixed = jitted_mix_images(jnp.concatenate([own, other]), mix)
    np.testing.assert_allclose(jnp.mean(mixed[0]), 1 - mix.share, atol=1e-6)
    assert 1 - mix.share <= 1 - share + 1e-6


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1, width=32))
def test_mixed_images_stay_between_0_and_1(share):
    values = jnp.array([0, 1 / 255, 0.5, 254 / 255, 1], jnp.float32)
    images = jnp.stack(jnp.meshgrid(values, values)).reshape(2, 25, 1, 1)
    mixed = jitted_mix_images(images, mixup_of(share))
    assert jnp.min(mixed) >= 0
    assert jnp.max(mixed) <= 1


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.8, 1.0])
def test_targets_share_the_labels_as_the_mix_says(share):
    targets, greater = mix_labels(jnp.array([0, 2, 2, 1]), mixup_of(share), 3)
    expected = share * np.eye(3)[[0, 2, 2, 1]] + (1 - share) * np.eye(3)[[1, 0, 2, 2]]
    np.testing.assert_allclose(targets, expected, atol=1e-6)
    np.testing.assert_allclose(jnp.sum(targets, axis=1), 1, rtol=1e-6)
    assert list(greater) == ([0, 2, 2, 1] if share >= 0.5 else [1, 0, 2, 2])


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.2, None), (None, 1.0), (0.2, 1.0)])
def test_a_mix_is_a_function_of_seed_and_step(mixup, cutmix):
    how = {"mixup": mixup, "cutmix": cutmix}
    whole = draw_many(20, seed=3, **how)
    later = draw_many(20, first=7, seed=3, **how)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[7:], b[:13]), whole, later)
    assert len(np.unique(whole.share)) > 10
    other = draw_many(20, seed=4, **how)
    assert np.mean(whole.share == other.share) < 0.5


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_of_mixup_are_beta_distributed(alpha):
    mixes = draw_many(4000, seed=0, mixup=alpha)
    np.testing.assert_array_equal(mixes.share, mixes.weight)
    assert not mixes.box.any()
    assert mixes.share.dtype == np.float32
    assert 0 <= mixes.share.min() <= mixes.share.max() <= 1
    assert abs(mixes.share.mean() - 0.5) < 0.02
    np.testing.assert_allclose(mixes.share.var(), 1 / (4 * (2 * alpha + 1)), rtol=0.06)


def test_rectangles_of_cutmix_come_from_the_whole_image_and_of_all_sizes():
    mixes = draw_many(4000, seed=0, cutmix=1.0)
    np.testing.assert_array_equal(mixes.weight, 1)
    top, left, bottom, right = mixes.box.T
    assert (top.min(), left.min(), bottom.max(), right.max()) == (0, 0, HEIGHT, WIDTH)
    whole = (bottom - top == HEIGHT // 2) & (right - left == WIDTH // 2)  # not cut off
    middle_row, middle_column = (top + bottom)[whole] / 2, (left + right)[whole] / 2
    assert set(middle_row) == set(range(3, 10))
    assert set(middle_column) == set(range(5, 16))
    np.testing.assert_allclose(mixes.share.min(), 1 - 10 * 18 / (12 * 20), rtol=1e-6)  # sides are rounded down
    assert mixes.share.max() > 0.97


def test_with_both_each_step_draws_one_of_them_evenly():
    mixes = draw_many(2000, seed=0, mixup=0.4, cutmix=1.0)
    cut = mixes.box.any(axis=1)
    assert 0.42 < cut.mean() < 0.53  # a rectangle may be empty
    np.testing.assert_array_equal(mixes.weight[cut], 1)
    np.testing.assert_array_equal(mixes.share[mixes.weight < 1], mixes.weight[mixes.weight < 1])


def test_the_largest_seed_draws_too():
    mix = jax.jit(lambda: draw_mix(0, HEIGHT, WIDTH, seed=2**32 - 1, mixup=0.2))()
    assert isinstance(mix, Mix)
    assert 0 <= mix.share <= 1


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="expected mixup, cutmix or both"):
        draw_mix(jnp.asarray(0), HEIGHT, WIDTH, seed=0)

"""Images and pixels side by side in the channels: layers compute the same, and as many are as fill a row of a TPU."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshes import mesh_of

import hasnn_jax
from hasnn_jax.models.abreast import (
    ALONE,
    Abreast,
    for_each,
    kernel_for_each,
    lay_abreast,
    lay_apart,
    mean_of_each,
    what_to_lay_abreast,
)
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.convolution import convolve
from hasnn_jax.models.layers import BatchNorm, Encoder

rng = np.random.default_rng(0)


def steps_abreast(x, n):
    return jax.vmap(lambda images: lay_abreast(images, n))(x)


def steps_apart(x, n):
    return jax.vmap(lambda images: lay_apart(images, n))(x)


@settings(deadline=None, max_examples=30)
@given(
    images=st.sampled_from([1, 2, 4]),
    pixels=st.sampled_from([1, 2, 4]),
    width=st.sampled_from([1, 2, 3]),
    rows=st.integers(1, 3),
    channels=st.integers(1, 3),
)
def test_consecutive_images_and_pixels_are_side_by_side_and_come_apart_again(images, pixels, width, rows, channels):
    n = Abreast(images, pixels)
    x = rng.random((rows * images, 3, width * pixels, channels), np.float32)
    abreast = np.asarray(lay_abreast(jnp.asarray(x), n))

    assert abreast.shape == (rows, 3, width, n.count * channels)
    for image in range(rows * images):
        for pixel in range(width * pixels):
            first = (pixel % pixels * images + image % images) * channels
            values = abreast[image // images, :, pixel // pixels, first : first + channels]
            np.testing.assert_array_equal(values, x[image, :, pixel])
    np.testing.assert_array_equal(lay_apart(abreast, n), x)


def test_xla_moves_no_image_between_blocks_that_lay_the_same_ones_abreast():
    def to_pairs_of_pixels(x):
        return lay_abreast(lay_apart(x, Abreast(images=2)), Abreast(images=2, pixels=2))

    compiled = jax.jit(to_pairs_of_pixels).lower(jnp.zeros((2, 4, 6, 10))).compile().as_text()
    assert "transpose(" not in compiled


def test_values_of_channels_are_for_each_image_and_their_means_are_over_the_images():
    values = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(for_each(values, 2)[1], [3, 4, 5, 3, 4, 5])
    np.testing.assert_array_equal(mean_of_each(jnp.asarray([0.0, 1, 2, 10, 11, 12]), 2), [5, 6, 7])
    np.testing.assert_array_equal(mean_of_each(for_each(values, 4), 4), values)


@settings(deadline=None, max_examples=30)
@given(n=st.sampled_from([1, 2, 4]), k=st.sampled_from([1, 3, 5]), stride=st.sampled_from([1, 2]), pixels=st.data())
def test_a_kernel_for_each_convolves_every_image_alone(n, k, stride, pixels):
    n = Abreast(n, pixels.draw(st.sampled_from([1, 2, 4])) if stride == 1 else 1)
    images = jnp.asarray(rng.normal(size=(4, 6, 8, 2)), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(k, k, 2, 3)), jnp.float32)
    together = convolve(lay_abreast(images, n), kernel_for_each(kernel, n), stride)

    np.testing.assert_allclose(lay_apart(together, n), convolve(images, kernel, stride), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("group", [None, 4])
@pytest.mark.parametrize("n", [Abreast(2), Abreast(4), Abreast(2, pixels=2)])
def test_statistics_are_those_of_all_images_of_a_group(x64, group, n):
    x = jnp.asarray(rng.normal(1, 2, size=(3, 8, 3, 2, 5)))  # T, B
    init = functools.partial(BatchNorm.init_with_output, rngs=jax.random.key(0), train=True)
    expected, _ = init(BatchNorm(statistics_group=group), x=x)
    y, _ = init(BatchNorm(statistics_group=group, abreast=n), x=steps_abreast(x, n))
    np.testing.assert_allclose(steps_apart(y, n), expected, rtol=1e-12, atol=1e-12)

    variables = BatchNorm().init(jax.random.key(0), x, train=False)
    variables = jax.tree.map(lambda v: v + rng.random(v.shape), variables)
    for train in (False, True):
        expected, stats = BatchNorm(statistics_group=group).apply(variables, x, train, mutable=["batch_stats"])
        layer = BatchNorm(statistics_group=group, abreast=n)
        y, stats_abreast = layer.apply(variables, steps_abreast(x, n), train, mutable=["batch_stats"])
        np.testing.assert_allclose(steps_apart(y, n), expected, rtol=1e-12, atol=1e-12)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), stats_abreast, stats)


@pytest.mark.parametrize("group", [None, 4])
@pytest.mark.parametrize("value_range", ["batch", "running"])
def test_planes_and_their_gradient_are_those_of_the_range_of_a_group(x64, group, value_range):
    coding, x = hasnn_jax.spiking_spec(value_range=value_range).coding, rng.normal(size=(8, 3, 2, 5))
    x[:4] *= 3
    x, weights = jnp.asarray(x), jnp.asarray(rng.normal(size=(8, *x.shape)))

    def encode(x, n):
        encoder = Encoder(coding, group, abreast=n)
        planes, stats = encoder.init_with_output(jax.random.key(0), lay_abreast(x, n), True)
        planes = steps_apart(planes, n)
        return jnp.sum(weights * planes), (planes, stats)

    gradient, (expected, stats) = jax.grad(encode, has_aux=True)(x, ALONE)
    gradient_abreast, (planes, stats_abreast) = jax.grad(encode, has_aux=True)(x, Abreast(2, pixels=2))
    np.testing.assert_array_equal(planes, expected)
    np.testing.assert_allclose(gradient_abreast, gradient, rtol=1e-10)
    jax.tree.map(np.testing.assert_array_equal, stats_abreast, stats)


@pytest.mark.parametrize(
    ("platform", "devices", "batch", "channels", "group", "n"),
    [
        ("tpu", 1, 16, 64, None, 2),
        ("tpu", 1, 16, 32, None, 4),
        ("tpu", 1, 16, 48, None, 2),  # three would be too many channels, and not divide the batch
        ("tpu", 1, 16, 128, None, 1),
        ("tpu", 1, 16, 512, None, 1),
        ("tpu", 1, 6, 32, None, 2),
        ("tpu", 1, 1, 32, None, 1),
        ("tpu", 1, 16, 32, 2, 2),
        ("tpu", 1, 16, 32, 1, 1),
        ("tpu", 8, 128, 32, None, 4),
        ("tpu", 8, 16, 32, None, 2),
        ("tpu", 8, 12, 32, None, 1),  # the devices do not divide the batch
        ("cpu", 1, 16, 32, None, 1),
        ("gpu", 8, 128, 32, None, 1),
    ],
)
def test_so_many_images_are_abreast_as_fill_a_row_of_a_tpu(platform, devices, batch, channels, group, n):
    choose = compile_for(mesh_of(platform, devices), what_to_lay_abreast)
    assert choose((batch, 6, 6, channels), channels, group, strided=True) == Abreast(n)


@pytest.mark.parametrize(
    ("batch", "width", "channels", "group", "n"),
    [
        (16, 56, 64, None, Abreast(2)),  # 8 images are left in the batch
        (16, 56, 32, None, Abreast(2, 2)),
        (8, 56, 32, None, Abreast(1, 4)),
        (64, 56, 32, None, Abreast(4)),
        (64, 56, 32, 16, Abreast(2, 2)),
        (4, 56, 32, None, Abreast(4)),  # too few
        (16, 7, 32, None, Abreast(4)),  # an odd number of pixels
        (16, 7, 128, None, ALONE),
    ],
)
def test_pixels_are_abreast_instead_of_images_where_images_then_fill_tiles(batch, width, channels, group, n):
    choose = compile_for(mesh_of("tpu"), what_to_lay_abreast)
    assert choose((batch, 6, width, 5), channels, group, strided=False) == n

"""Layouts of arrays for a TPU: the same values, and asked for only where they help."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import mesh_of

from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.memory_layout import LANES, for_activation, for_convolution


def lowered(shape, platform="tpu", devices=1, place=for_activation):
    return jax.jit(compile_for(mesh_of(platform, devices), place)).lower(jnp.zeros(shape))


@pytest.mark.parametrize(
    ("shape", "devices", "fills_tiles"),
    [
        ((8, 1, 8, 2, 3, 5), 1, True),
        ((4, 1, 16, 2, 3, 5), 2, True),  # 8 images on each device
        ((8, 4, 8, 2, 3, 5), 2, True),  # groups are divided
        ((8, 1, 8, 2, 3, 5), 2, False),
        ((8, 1, 12, 2, 3, 5), 1, False),
        ((8, 4, 4, 2, 3, 5), 1, False),
        ((1, 8, 2, 3, 5), 1, False),  # no time steps
    ],
)
def test_a_tpu_reads_steps_as_they_are_if_images_fill_tiles_and_copies_them_once_if_not(shape, devices, fills_tiles):
    text = lowered(shape, devices=devices).as_text()
    assert ("LayoutConstraint" in text) == fills_tiles
    assert ("optimization_barrier" in text) != fills_tiles


def test_pixels_are_outermost_and_channels_innermost():
    assert "dense<[5, 2, 0, 4, 3, 1]>" in lowered((8, 1, 8, 2, 3, 5)).as_text()  # minor to major


@pytest.mark.parametrize(
    ("shape", "devices", "is_placed"),
    [
        ((8, 8, 2, 3, LANES), 1, True),
        ((8, 16, 2, 3, 2 * LANES), 2, True),
        ((8, 8, 2, 3, LANES), 2, False),  # 4 images on each device
        ((8, 8, 2, 3, LANES - 1), 1, False),
        ((8, 2, 3, LANES), 1, False),  # no time steps
    ],
)
def test_convolutions_read_the_same_layout_where_tiles_are_full(shape, devices, is_placed):
    text = lowered(shape, devices=devices, place=for_convolution).as_text()
    assert ("dense<[4, 1, 0, 3, 2]>" in text) == is_placed
    assert ("LayoutConstraint" in text) == is_placed


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
@pytest.mark.parametrize(
    ("place", "shape"), [(for_activation, (8, 1, 8, 2, 3, 5)), (for_convolution, (8, 8, 2, 3, LANES))]
)
def test_other_platforms_choose_for_themselves(platform, place, shape):
    text = lowered(shape, platform, place=place).as_text()
    assert "LayoutConstraint" not in text
    assert "optimization_barrier" not in text


@pytest.mark.parametrize(
    ("place", "shape"),
    [
        (for_activation, (8, 1, 8, 2, 3, 5)),
        (for_activation, (8, 1, 4, 2, 3, 5)),
        (for_convolution, (8, 8, 2, 3, LANES)),
    ],
)
def test_values_and_gradients_are_the_same(place, shape):
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)
    placed = compile_for(mesh_of("tpu"), place)
    np.testing.assert_array_equal(jax.jit(placed)(x), x)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(placed(x)))))(x)
    np.testing.assert_allclose(gradient, jnp.cos(x), rtol=1e-6)

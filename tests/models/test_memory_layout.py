"""Layouts of arrays for a TPU: the same values, and asked for only where they help."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import mesh_of

from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.memory_layout import for_activation


def lowered(shape, platform="tpu", devices=1):
    return jax.jit(compile_for(mesh_of(platform, devices), for_activation)).lower(jnp.zeros(shape))


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


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_other_platforms_choose_for_themselves(platform):
    text = lowered((8, 1, 8, 2, 3, 5), platform).as_text()
    assert "LayoutConstraint" not in text
    assert "optimization_barrier" not in text


@pytest.mark.parametrize("images", [8, 4])
def test_values_and_gradients_are_the_same(images):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(8, 1, images, 2, 3, 5)), jnp.float32)
    placed = compile_for(mesh_of("tpu"), for_activation)
    np.testing.assert_array_equal(jax.jit(placed)(x), x)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(placed(x)))))(x)
    np.testing.assert_allclose(gradient, jnp.cos(x), rtol=1e-6)

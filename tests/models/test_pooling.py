"""Pooling, and the gradients of it that some platforms have of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import mesh_of

from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.pooling import average_pool, global_average_pool, max_pool


def test_average_pool_counts_its_padding_and_max_pool_never_takes_it():
    x = -jnp.arange(1.0, 17).reshape(1, 1, 4, 4, 1)  # time, batch, rows of -1 .. -4, -5 .. -8, ...

    np.testing.assert_allclose(average_pool(x, 3, 2, padding=1)[0, 0, :, :, 0] * -9, [[14, 30], [57, 99]], rtol=1e-6)
    np.testing.assert_array_equal(max_pool(x, 3, 2, padding=1)[0, 0, :, :, 0], [[-1, -2], [-5, -6]])
    np.testing.assert_array_equal(average_pool(x, 2, 2)[0, 0, :, :, 0], [[-3.5, -5.5], [-11.5, -13.5]])


def test_global_average_pool_takes_the_mean_over_space_alone():
    x = np.random.default_rng(0).normal(size=(8, 2, 3, 4, 5))

    np.testing.assert_allclose(global_average_pool(jnp.asarray(x)), x.mean(axis=(2, 3)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(4, 4), (6, 2), (5, 4)])  # the last one is not even
def test_gradient_of_average_pooling_shares_a_window_among_its_nine_pixels(x64, size):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, *size, 2)))
    y, backward = jax.vjp(lambda x: average_pool(x, 3, 2, padding=1), x)
    cotangent = jnp.asarray(np.random.default_rng(1).normal(size=y.shape))

    expected = np.zeros((2, 3, size[0] + 2, size[1] + 2, 2))
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            expected[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += cotangent[:, :, i, j][:, :, None, None] / 9
    np.testing.assert_allclose(backward(cotangent)[0], expected[:, :, 1:-1, 1:-1], rtol=1e-12)


@pytest.mark.parametrize("pool", [average_pool, max_pool])
def test_a_tpu_pools_each_step_where_it_lies(x64, pool):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3, 6, 4, 2)))

    def results(platform):
        y, backward = jax.vjp(compile_for(mesh_of(platform), lambda x: pool(x, 3, 2, padding=1)), x)
        return y, backward(jnp.sin(y))[0]

    lowered = jax.jit(compile_for(mesh_of("tpu"), lambda x: pool(x, 3, 2, padding=1))).lower(x).as_text()
    assert "tensor<8x3x6x4x2xf64>" in lowered
    assert "tensor<24x6x4x2xf64>" not in lowered  # steps folded into the batch
    for of_tpu, of_cpu in zip(results("tpu"), results("cpu"), strict=True):
        np.testing.assert_allclose(of_tpu, of_cpu, rtol=1e-12, atol=1e-12)


def pool_for(platform):
    return compile_for(mesh_of(platform), lambda x: max_pool(x, 3, 2, padding=1))


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("size", [(2, 2), (6, 8)])
def test_max_pooling_and_its_gradient_are_the_same_on_every_platform(x64, size, dtype):
    """Of values that often are the largest of several windows, or equal to others in theirs."""
    x = jnp.asarray(np.random.default_rng(0).integers(-2, 3, (2, 3, *size, 2)), dtype)
    cotangent = jnp.asarray(np.random.default_rng(1).integers(-8, 9, (2, 3, size[0] // 2, size[1] // 2, 2)), dtype)

    (expected, expected_gradient), *others = (
        (y, backward(cotangent)[0]) for y, backward in (jax.vjp(pool_for(name), x) for name in ("tpu", "cpu", "gpu"))
    )
    for y, gradient in others:
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(gradient, expected_gradient)
        assert y.dtype == gradient.dtype == x.dtype


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_the_gradient_of_max_pooling_goes_to_the_first_of_equal_pixels(platform):
    _, backward = jax.vjp(pool_for(platform), jnp.zeros((1, 4, 4, 1)))

    gradient = backward(jnp.asarray([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None])[0][0, :, :, 0]
    np.testing.assert_array_equal(gradient, [[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_a_window_with_nan_has_the_maximum_nan_in_training_too(platform):
    x = jnp.zeros((1, 4, 4, 1)).at[0, 0, 0, 0].set(jnp.nan)
    y, _ = jax.vjp(pool_for(platform), x)

    np.testing.assert_array_equal(y[0, :, :, 0], [[np.nan, 0], [0, 0]])

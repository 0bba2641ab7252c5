"""Grouped and depthwise convolutions, against XLA's own and its gradients, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from meshes import mesh_of

from hasnn_jax.models import depthwise as depthwise_module
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.convolution import convolve
from hasnn_jax.models.layers import Conv

SIZES = [(1, 1), (2, 2), (1, 2), (3, 3), (4, 4), (3, 4), (5, 5), (8, 6), (13, 22)]


def result_and_gradients(function, x, kernel):
    y, backward = jax.vjp(function, x, kernel)
    return y, *backward(jnp.cos(y))


def random(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def xlas(x, kernel, stride, groups):
    pad = (kernel.shape[0] // 2,) * 2
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), (pad, pad), dimension_numbers=dimensions, feature_group_count=groups
    )


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("size", SIZES)
def test_depthwise_result_and_gradients_are_those_of_xlas_convolution(x64, size, kernel, stride):
    x, weights = random(3, *size, 6), random(kernel, kernel, 1, 6, seed=1)
    ours = result_and_gradients(lambda x, w: convolve(x, w, stride, 6), x, weights)
    expected = result_and_gradients(lambda x, w: xlas(x, w, stride, 6), x, weights)

    for a, b in zip(ours, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("groups", "features"), [(2, 4), (3, 9), (6, 12)])
@pytest.mark.parametrize("size", [(2, 2), (4, 4), (8, 6)])
def test_any_other_groups_are_those_of_xlas_convolution(x64, size, groups, features):
    x, weights = random(2, *size, 6), random(3, 3, 6 // groups, features, seed=1)
    ours = result_and_gradients(lambda x, w: convolve(x, w, 2, groups), x, weights)
    expected = result_and_gradients(lambda x, w: xlas(x, w, 2, groups), x, weights)

    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_each_channel_meets_its_own_kernel_alone(x64):
    x, weights = random(2, 7, 7, 4), random(3, 3, 1, 4, seed=1)
    for channel in range(4):
        one = slice(channel, channel + 1)
        alone = convolve(x[..., one], weights[..., one], 1)
        np.testing.assert_allclose(convolve(x, weights, 1, 4)[..., one], alone, rtol=1e-11, atol=1e-11)


def test_sums_of_narrow_numbers_are_wide():
    x, weights = jnp.ones((1, 8, 8, 2), jnp.bfloat16), jnp.full((5, 5, 1, 2), 1.0, jnp.bfloat16)
    y, backward = jax.vjp(lambda w: convolve(x * 0.01, w, 1, 2), weights)
    (gradient,) = backward(jnp.ones_like(y))

    assert y.dtype == gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(gradient[2, 2, 0].astype(jnp.float32), 64 * 0.01, rtol=4e-3)  # one rounding, not 64


def test_other_platforms_and_divided_batches_have_no_loop():
    x, weights = jnp.ones((4, 8, 8, 2)), jnp.ones((3, 3, 1, 2))

    def program(target):
        gradient = jax.grad(target(lambda w: convolve(x, w, 1, 2).sum()))
        return str(jax.make_jaxpr(gradient)(weights))

    assert "scan[" in program(lambda f: f)
    assert "conv_general_dilated" not in program(lambda f: f)
    assert "scan[" not in program(lambda f: compile_for(mesh_of("cpu", size=2), f))
    assert "conv_general_dilated" in program(lambda f: compile_for(mesh_of("tpu"), f))


def test_small_maps_have_no_loop():
    size = depthwise_module.LARGE_MAP - 1
    x, weights = jnp.ones((4, size, size, 2)), jnp.ones((3, 3, 1, 2))
    gradient = jax.grad(lambda w: convolve(x, w, 1, 2).sum())

    assert "scan[" not in str(jax.make_jaxpr(gradient)(weights))


def test_a_layer_has_the_weights_of_its_groups_and_pytorchs_distribution_for_them():
    x = jnp.ones((1, 4, 4, 64))
    kernel = Conv(64, 3, groups=64).init(jax.random.key(0), x)["params"]["kernel"]

    assert kernel.shape == (3, 3, 1, 64)
    assert 0.3 < np.abs(kernel).max() <= 1 / 3  # uniform in 1 / sqrt(9 weights of an output)

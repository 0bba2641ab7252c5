"""Every way in which a convolution is computed, against XLA's own convolution and its gradients, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import mesh_of

from hasnn_jax.models import convolution
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.convolution import convolve

LAYERS = [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)]  # kernel, stride


def result_and_gradients(function, x, kernel):
    y, backward = jax.vjp(function, x, kernel)
    return y, *backward(jnp.cos(y))


def random(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("channels", [3, convolution.FEW_CHANNELS])
@pytest.mark.parametrize(("kernel", "stride"), LAYERS)
@pytest.mark.parametrize(
    "size",
    [(1, 1), (2, 2), (1, 2), (3, 3), (4, 4), (3, 4), (5, 5), (8, 6), (14, 12), (13, 16), (24, 22), (21, 24)],
)
def test_result_and_gradients_are_those_of_xlas_convolution(x64, size, kernel, stride, channels):
    x, weights = random(3, *size, channels), random(kernel, kernel, channels, 5, seed=1)
    ours = result_and_gradients(lambda x, w: convolve(x, w, stride), x, weights)
    xlas = result_and_gradients(lambda x, w: convolution._xla(x, w, stride), x, weights)

    for a, b in zip(ours, xlas, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("gathered", [1, 2**16])  # one image at a time, or two of four
@pytest.mark.parametrize("channels", [3, convolution.FEW_CHANNELS])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_kernels_gradient_is_the_same_however_many_images_a_pass_takes(x64, monkeypatch, stride, channels, gathered):
    monkeypatch.setattr(convolution, "GATHERED", gathered)
    x, weights = random(4, 24, 24, channels), random(3, 3, channels, 24, seed=1)
    ours = result_and_gradients(lambda x, w: convolve(x, w, stride), x, weights)
    xlas = result_and_gradients(lambda x, w: convolution._xla(x, w, stride), x, weights)

    np.testing.assert_allclose(ours[2], xlas[2], rtol=1e-11, atol=1e-11)


def loops(target, size):
    """How many loops the gradients of a convolution have that is traced for a target."""
    x, weights = jnp.ones((4, size, size, 2)), jnp.ones((3, 3, 2, 4))
    gradient = jax.grad(target(lambda w: convolve(x, w, 1).sum()))
    return str(jax.make_jaxpr(gradient)(weights)).count("scan[")


def test_other_platforms_have_xlas_own_gradients():
    assert loops(lambda f: f, 24) == 1
    assert loops(lambda f: f, 8) == 0
    assert loops(lambda f: compile_for(mesh_of("tpu"), f), 24) == 0

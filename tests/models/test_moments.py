import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import mesh_of

from hasnn_jax.models import cache_parts
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.moments import moments

x = np.random.default_rng(0).normal(3, 2, (6, 5, 4, 3))


@pytest.mark.parametrize("near", [[0, 0, 0], [3, 3, 3], [-50, 7, 3]])
@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2)])
def test_moments_are_mean_and_biased_variance_wherever_differences_are_taken_from(x64, near, axes):
    mean, var = moments(jnp.asarray(x), jnp.asarray(near, jnp.float64), axes)

    np.testing.assert_allclose(mean, x.mean(axes, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(var, x.var(axes, keepdims=True), rtol=1e-11)


@pytest.mark.parametrize("axes", [(0, 1, 2), (0, 2), (1, 2)])
@pytest.mark.parametrize("part", [1, 30, 45, 10**6])  # rows one by one, one or three of them, or all at once
def test_moments_in_parts_are_the_same_as_those_of_the_whole(x64, monkeypatch, part, axes):
    monkeypatch.setattr(cache_parts, "PART", part)
    near = jnp.asarray([1.0, 2.0, 3.0])

    def moments_for(mesh):
        lowered = jax.jit(compile_for(mesh, lambda x: moments(x, near, axes))).lower(jnp.asarray(x))
        return lowered.compile()(x), lowered.as_text().count("while")

    in_parts, loops = moments_for(mesh_of("cpu"))
    whole, none = moments_for(mesh_of("cpu", size=2))
    assert (loops, none) == (int(part < 10**6), 0)
    for ours, expected in zip(in_parts, whole, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, strict=True)


def test_no_gradient_flows_through_moments(x64):
    def total(x, near):
        return sum(each.sum() for each in moments(x, near, (0, 1, 2)))

    for gradient in jax.grad(total, argnums=(0, 1))(jnp.asarray(x), jnp.asarray([1.0, 2.0, 3.0])):
        assert not gradient.any()


def test_far_from_zero_float32_keeps_its_digits_near_the_mean():
    far = jnp.asarray(1000 + x, jnp.float32)
    _, var = moments(far, jnp.full(3, 1003.0), (0, 1, 2))

    np.testing.assert_allclose(var.ravel(), np.asarray(far, np.float64).var((0, 1, 2)), rtol=1e-5)


def test_variance_of_a_constant_is_not_negative():
    _, var = moments(jnp.full((7, 9, 1), 0.1), jnp.zeros(1), (0, 1))
    assert 0 <= var.item() < 1e-8

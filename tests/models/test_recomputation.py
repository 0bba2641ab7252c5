import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import mesh_of

from hasnn_jax.models.compile_target import compile_for, on_cpu, on_gpu, on_tpu
from hasnn_jax.models.recomputation import recomputed


def scaled_sine(x, scale):
    return jnp.sin(x * x) * scale[None]


def draw(seed):
    """Input, scale of each column, and cotangent."""
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((3, 4), (4,), (3, 4)))


def value_and_gradients(function, x, scale, cotangent):
    value, differentiate = jax.vjp(function, x, scale)
    return value, *differentiate(cotangent)


@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_are_those_of_the_function(seed):
    arguments = draw(seed)
    expected = value_and_gradients(scaled_sine, *arguments)
    for got, wanted in zip(value_and_gradients(recomputed(scaled_sine), *arguments), expected, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_only_the_arguments_are_kept():
    x, scale, _ = draw(0)

    def kept_by(function):
        return sorted(leaf.shape for leaf in jax.tree.leaves(jax.vjp(function, x, scale)[1]))

    assert kept_by(recomputed(scaled_sine)) == sorted([x.shape, scale.shape])
    assert len(kept_by(scaled_sine)) > 2


def test_the_barrier_is_around_the_arguments_alone():
    jaxpr = jax.make_jaxpr(functools.partial(value_and_gradients, recomputed(scaled_sine)))(*draw(0))
    barriers = [equation for equation in jaxpr.eqns if equation.primitive.name == "optimization_barrier"]
    assert [len(barrier.invars) for barrier in barriers] == [2]


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_the_gradient_is_traced_for_what_the_function_is_compiled_for(platform):
    seen = []

    def look_around(x, scale):
        seen.append((on_cpu(), on_gpu(), on_tpu()))
        return scaled_sine(x, scale)

    model = compile_for(mesh_of(platform), lambda x, scale: recomputed(look_around)(x, scale))
    jax.make_jaxpr(functools.partial(value_and_gradients, model))(*draw(0))
    assert len(seen) > 1  # for the value, and again for the gradient
    assert set(seen) == {tuple(platform == name for name in ("cpu", "gpu", "tpu"))}

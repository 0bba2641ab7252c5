import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from meshes import mesh_of

from hasnn_jax.core import IF, LIF
from hasnn_jax.models import cache_parts, normalisation
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.layers import BatchNorm, identity
from hasnn_jax.models.normalisation import normalise, normalise_by_moments
from hasnn_jax.models.spiking_normalisation import normalise_and_fire

rng = np.random.default_rng(0)
NEURONS = [IF(), IF(reset="soft"), LIF(), LIF(tau=3.0, reset="soft", decay_input=False)]
# Statistics of all examples, and of each of two groups of three; [T, (G,) B, H, W, C], and the axes they are over.
SHAPES = {"one group": ((8, 6, 3, 2, 5), (0, 1, 2, 3)), "two groups": ((8, 2, 3, 3, 2, 5), (0, 2, 3, 4))}


def arguments(shape):
    """Input, and scale and bias of each channel."""
    of_channels = (1,) * (len(shape) - 1) + shape[-1:]
    return tuple(
        map(jnp.asarray, (rng.normal(0.5, 2, shape), rng.normal(1, 1, of_channels), rng.normal(0, 1, of_channels)))
    )


def statistics(x, axes):
    exact = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return jnp.mean(exact, axes, keepdims=True), jax.lax.rsqrt(jnp.var(exact, axes, keepdims=True) + 1e-5)


def at_once(neuron, axes, x, scale, bias):
    mean, inverse = jax.lax.stop_gradient(statistics(x, axes))
    return normalise_and_fire(neuron, x, mean, inverse, inverse * scale, scale, bias)


def one_after_the_other(neuron, axes, x, scale, bias):
    mean, inverse = statistics(x, axes)
    return neuron(normalise(x, mean, inverse * scale, bias))


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
@pytest.mark.parametrize("abreast", [1, 2])
@pytest.mark.parametrize("shape", [(6, 4, 3, 5), (3, 6, 4, 3, 5), (2, 3, 4, 3, 5)])
def test_the_gradient_of_a_normalisation_has_what_flows_through_the_moments(x64, platform, abreast, shape):
    """Of images [G, B, ...], and of time steps of them."""
    x, scale, bias = arguments(shape)
    axes = tuple(a for a in range(len(shape) - 1) if a != len(shape) - 4)  # all but groups and channels
    cotangent = jnp.asarray(rng.normal(size=shape))

    def laid(x):  # pixels of a column side by side
        rows = x.reshape(*shape[:-3], shape[-3] // abreast, abreast, *shape[-2:])
        return jnp.moveaxis(rows, -3, -2).reshape(*shape[:-3], shape[-3] // abreast, shape[-2], -1)

    def apart(y):
        pixels = y.reshape(*y.shape[:-1], abreast, shape[-1])
        return jnp.moveaxis(pixels, -2, -3).reshape(shape)

    def by_moments(x, scale, bias):
        mean, inverse = jax.lax.stop_gradient(statistics(x, axes))
        return apart(normalise_by_moments(laid(x), mean, inverse, inverse * scale, scale, bias, abreast))

    def without_rule(x, scale, bias):
        mean, inverse = statistics(x, axes)
        return normalise(x, mean, inverse * scale, bias)

    y, gradients = compile_for(mesh_of(platform), lambda *a: results(by_moments, a, cotangent))(x, scale, bias)
    expected, expected_gradients = results(without_rule, (x, scale, bias), cotangent)
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    for gradient, of_rule in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, of_rule, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("abreast", [1, 2])
def test_moments_are_taken_out_of_the_gradient_alike_by_channel_and_by_element(x64, abreast):
    x, of_normalised = (jnp.asarray(rng.normal(size=(2, 6, 4, 3, 5 * abreast))) for _ in range(2))
    of_channels = [jnp.asarray(rng.uniform(0.5, 2, (2, 1, 1, 1, 5))) for _ in range(5)]

    by_channel, by_element = (
        way(72 * abreast, abreast, x, of_normalised, *of_channels)
        for way in (normalisation._by_channel, normalisation._by_element)
    )
    np.testing.assert_allclose(by_element, by_channel, rtol=1e-12, atol=1e-13)


def results(function, args, cotangent):
    spikes, backward = jax.vjp(function, *args)
    return spikes, backward(cotangent)


@pytest.mark.parametrize("steps", [1, 3, 8])
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("neuron", NEURONS)
def test_spikes_and_gradients_are_those_of_the_two_one_after_the_other(x64, neuron, name, steps):
    shape, axes = SHAPES[name]
    x, *of_channels = arguments(shape)
    args = (x[:steps], *of_channels)
    cotangent = jnp.asarray(rng.normal(size=args[0].shape))

    spikes, gradients = results(functools.partial(at_once, neuron, axes), args, cotangent)
    expected, expected_gradients = results(functools.partial(one_after_the_other, neuron, axes), args, cotangent)

    assert 0 < spikes.mean() < 1
    np.testing.assert_array_equal(spikes, expected)
    for gradient, of_both in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(gradient, of_both, rtol=1e-11, atol=1e-12)


def test_bfloat16_has_gradients_of_its_dtype_near_those_of_the_two_one_after_the_other():
    shape, axes = SHAPES["two groups"]
    x, *of_channels = (a.astype(jnp.float32) for a in arguments(shape))
    args = (x.astype(jnp.bfloat16), *of_channels)
    cotangent = jnp.asarray(rng.normal(size=x.shape), jnp.bfloat16)

    spikes, gradients = results(functools.partial(at_once, LIF(), axes), args, cotangent)
    expected, expected_gradients = results(functools.partial(one_after_the_other, LIF(), axes), args, cotangent)

    np.testing.assert_array_equal(spikes, expected)
    assert [g.dtype for g in gradients] == [jnp.bfloat16, jnp.float32, jnp.float32]
    for gradient, of_both in zip(gradients, expected_gradients, strict=True):
        gradient, of_both = (np.asarray(g, np.float32) for g in (gradient, of_both))
        np.testing.assert_allclose(gradient, of_both, rtol=0.02, atol=0.02 * np.abs(of_both).max())


@pytest.mark.parametrize("part", [1, 30, 40])  # a value of each group and channel at a time, three, or what divides 18
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("bfloat16", 2e-6)])  # sums: float32
def test_every_way_to_the_gradient_gives_the_same(x64, monkeypatch, dtype, tolerance, name, part):
    shape, axes = SHAPES[name]
    x, *of_channels = arguments(shape)
    args = (x.astype(dtype), *(a.astype(jnp.promote_types(dtype, "float32")) for a in of_channels))
    cotangent = jnp.asarray(rng.normal(size=x.shape), dtype)
    monkeypatch.setattr(cache_parts, "PART", part)

    def gradients(mesh):
        differentiate = lambda *a: results(functools.partial(at_once, LIF(), axes), a, cotangent)  # noqa: E731
        lowered = jax.jit(compile_for(mesh, differentiate)).lower(*args)
        return jax.tree.leaves(lowered.compile()(*args)), lowered.as_text().count("while")

    by_steps, step_loops = gradients(mesh_of("tpu"))  # in the forward pass, too
    in_passes, pass_loops = gradients(mesh_of("gpu"))
    by_scan, scan_loops = gradients(mesh_of("cpu", size=2))
    in_parts, part_loops = gradients(mesh_of("cpu"))

    assert (step_loops, pass_loops, scan_loops, part_loops) == (0, 0, 2, 3)
    for several in zip(by_steps, in_passes, by_scan, in_parts, strict=True):
        expected, *others = (np.asarray(a, np.float64) for a in several)
        assert len({each.dtype for each in several}) == 1
        for other in others:
            np.testing.assert_allclose(other, expected, tolerance, tolerance)


@pytest.mark.parametrize(("platform", "devices"), [("cpu", 1), ("gpu", 1), ("tpu", 2)])
@pytest.mark.parametrize("steps", [8, 9])
@pytest.mark.parametrize("group", [None, 3])
def test_a_normalisation_may_fire_for_any_number_of_steps_and_on_every_platform(x64, group, steps, platform, devices):
    currents = jnp.asarray(rng.normal(size=(steps, 6, 3, 2, 5)))
    apart, together = BatchNorm(statistics_group=group), BatchNorm(statistics_group=group, activation=LIF())
    variables = jax.tree.map(lambda v: v + 0.3, together.init(jax.random.key(0), currents, train=True))

    def loss(params, x, layer, neuron=lambda y: y):
        y, updates = layer.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
        return jnp.sum(jnp.sin(neuron(y) + 0.1 * x)), updates

    differentiate = compile_for(mesh_of(platform, devices), jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
    at_once = differentiate(variables["params"], currents, together)
    expected = differentiate(variables["params"], currents, apart, LIF())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), at_once, expected)


@pytest.mark.parametrize("activation", [identity, nn.relu, LIF()])
def test_a_layer_and_its_gradient_are_the_same_on_every_platform(x64, activation):
    x = jnp.asarray(rng.normal(size=(8, 8, 3, 2, 5)))
    layer = BatchNorm(statistics_group=4, activation=activation)
    variables = layer.init(jax.random.key(0), x, train=True)

    def loss(params, x):
        y, updates = layer.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
        return jnp.sum(jnp.sin(y + 0.1 * x)), updates

    def results(platform):
        apply = compile_for(mesh_of(platform), loss)  # the gradient is traced after it has returned
        return jax.jit(jax.value_and_grad(apply, argnums=(0, 1), has_aux=True))(variables["params"], x)

    expected = results("cpu")
    for platform in ("gpu", "tpu"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), results(platform), expected)

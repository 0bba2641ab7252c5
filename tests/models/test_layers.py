import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax import core
from hasnn_jax.models.layers import (
    BatchNorm,
    Conv,
    Dense,
    Encoder,
    torch_uniform,
)

KEY = jax.random.key(0)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(1, 2, shape).astype(np.float32)


@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)])
def test_convolution_is_pytorchs_with_half_the_kernel_of_zeros_around(kernel, stride):
    x, weights = normal(2, 6, 5, 3), normal(kernel, kernel, 3, 4, seed=1)
    y = Conv(4, kernel, stride).apply({"params": {"kernel": jnp.asarray(weights)}}, jnp.asarray(x))

    pad = kernel // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride]
    np.testing.assert_allclose(y, np.einsum("bhwcij,ijcf->bhwf", windows, weights), rtol=1e-4, atol=1e-4)


def test_convolution_treats_every_time_step_alike():
    x = jnp.asarray(normal(3, 2, 4, 4, 2))
    conv = Conv(5, 3, 2)
    variables = conv.init(KEY, x)

    y = conv.apply(variables, x)
    assert y.shape == (3, 2, 2, 2, 5)
    np.testing.assert_allclose(y[1], conv.apply(variables, x[1]), rtol=1e-5, atol=1e-5)


def test_dense_is_a_matrix_product_plus_bias_over_the_last_axis():
    kernel, bias, x = normal(3, 2), normal(2, seed=1), normal(8, 4, 3, seed=2)
    params = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}

    np.testing.assert_allclose(Dense(2).apply({"params": params}, jnp.asarray(x)), x @ kernel + bias, rtol=1e-5)


@pytest.mark.parametrize("layer", [Conv(4, 3, dtype=jnp.bfloat16), Dense(4, dtype=jnp.bfloat16)], ids=["conv", "dense"])
def test_synapses_compute_in_their_dtype_and_keep_float32_parameters(layer):
    x = jnp.ones((1, 4, 4, 3))
    variables = layer.init(KEY, x)

    assert layer.apply(variables, x).dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("fan_in", [27, 100])
def test_initialisation_is_uniform_within_one_over_the_root_of_fan_in(fan_in):
    values = np.asarray(torch_uniform(fan_in)(KEY, (20_000,)))
    bound = 1 / math.sqrt(fan_in)

    assert 0.99 * bound < np.abs(values).max() <= bound
    assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert abs(values.mean()) < 0.02 * bound


def test_layers_initialise_with_their_own_fan_in():
    conv = Conv(50, 3).init(KEY, jnp.zeros((1, 4, 4, 6)))["params"]
    dense = Dense(400).init(KEY, jnp.zeros((1, 25)))["params"]

    assert 0.95 / math.sqrt(54) < np.abs(conv["kernel"]).max() <= 1 / math.sqrt(54)
    assert 0.95 * 0.2 < np.abs(dense["kernel"]).max() <= 0.2
    assert 0.95 * 0.2 < np.abs(dense["bias"]).max() <= 0.2
    assert "bias" not in conv


def norm_variables(channels):
    rng = np.random.default_rng(9)
    return {
        "params": {"scale": rng.uniform(0.5, 2, channels), "bias": rng.normal(size=channels)},
        "batch_stats": {"mean": rng.normal(size=channels), "var": rng.uniform(0.5, 2, channels), "count": np.int32(7)},
    }


@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (8, 4, 3, 5, 2)])
def test_norm_trains_with_biased_and_tracks_unbiased_variance(x64, shape):
    x, variables = np.random.default_rng(0).normal(1, 3, shape), norm_variables(2)
    y, updates = BatchNorm(momentum=0.3).apply(
        jax.tree.map(jnp.asarray, variables), jnp.asarray(x), True, mutable=["batch_stats"]
    )

    axes = tuple(range(len(shape) - 1))
    scale, bias = variables["params"]["scale"], variables["params"]["bias"]
    expected = (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5) * scale + bias
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9)
    old = variables["batch_stats"]
    stats = updates["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.7 * old["mean"] + 0.3 * x.mean(axes), rtol=1e-12)
    np.testing.assert_allclose(stats["var"], 0.7 * old["var"] + 0.3 * x.var(axes, ddof=1), rtol=1e-12)
    assert stats["count"] == 8


def test_norm_evaluates_with_its_running_statistics(x64):
    x, variables = np.random.default_rng(0).normal(1, 3, (4, 3, 3, 2)), norm_variables(2)
    y = BatchNorm().apply(jax.tree.map(jnp.asarray, variables), jnp.asarray(x), False)

    stats, params = variables["batch_stats"], variables["params"]
    expected = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5) * params["scale"] + params["bias"]
    np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_norm_of_groups_is_that_of_each_group_alone_and_tracks_their_mean(x64):
    x, variables = normal(6, 3, 3, 2).astype(np.float64), jax.tree.map(jnp.asarray, norm_variables(2))
    y, together = BatchNorm(statistics_group=2).apply(variables, jnp.asarray(x), True, mutable=["batch_stats"])
    parts = [BatchNorm().apply(variables, jnp.asarray(x[i : i + 2]), True, mutable=["batch_stats"]) for i in (0, 2, 4)]

    np.testing.assert_allclose(y, np.concatenate([part for part, _ in parts]), rtol=1e-12)
    mean_of_parts = jax.tree.map(lambda *stats: sum(stats) / 3, *(updates for _, updates in parts))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), together, mean_of_parts)


def test_norm_keeps_bfloat16_and_takes_float32_statistics():
    x = jnp.asarray(1000 + np.arange(64).reshape(4, 4, 4, 1) % 8, jnp.bfloat16)  # spacing there is 4
    norm = BatchNorm()
    variables = norm.init(KEY, x, False)
    y, updates = norm.apply(variables, x, True, mutable=["batch_stats"])

    assert y.dtype == jnp.bfloat16
    assert updates["batch_stats"]["mean"].dtype == jnp.float32
    np.testing.assert_allclose(updates["batch_stats"]["mean"], [0.1 * np.asarray(x, np.float64).mean()], rtol=1e-5)


def test_encoder_with_a_running_range_trains_with_the_batchs_and_evaluates_with_the_tracked_one():
    encoder = Encoder(core.BitPlaneCoding())
    x = jnp.asarray([[-1.0, 0.0], [1.0, 3.0]])
    variables = encoder.init(KEY, x, False)
    assert variables["batch_stats"] == {"low": 0.0, "high": 1.0}

    trained, updates = encoder.apply(variables, x, True, mutable=["batch_stats"])
    evaluated = encoder.apply(updates, x, False)

    np.testing.assert_array_equal(core.pack(trained), [[0, 63], [127, 255]])
    assert updates["batch_stats"]["low"] == pytest.approx(-0.1)
    assert updates["batch_stats"]["high"] == pytest.approx(0.9 + 0.3)
    # 0 lies at 1/13 of the range from -0.1 to 1.2.
    np.testing.assert_array_equal(core.pack(evaluated), [[0, 19], [215, 255]])


def test_encoder_tracks_the_mean_of_its_groups_ranges():
    encoder = Encoder(core.BitPlaneCoding(), statistics_group=1, momentum=0.5)
    x = jnp.asarray([[-4.0, 0.0], [0.25, 0.75]])
    variables = encoder.init(KEY, x, False)
    _, updates = encoder.apply(variables, x, True, mutable=["batch_stats"])

    assert updates["batch_stats"] == {"low": -1.0, "high": 0.75}  # of [-4, 0] and [0, 1]


@pytest.mark.parametrize(
    ("value_range", "bytes_"), [("batch", [[0, 63], [127, 255]]), ("example", [[0, 255], [0, 255]])]
)
def test_encoder_without_memory_evaluates_as_it_trains(value_range, bytes_):
    encoder = Encoder(core.BitPlaneCoding(value_range=value_range))
    x = jnp.asarray([[-1.0, 0.0], [1.0, 3.0]])

    assert encoder.init(KEY, x, False) == {}
    for train in (False, True):
        np.testing.assert_array_equal(core.pack(encoder.apply({}, x, train)), bytes_)

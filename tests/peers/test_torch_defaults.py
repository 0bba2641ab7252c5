"""Initial parameters have the distribution of PyTorch's defaults, for single layers and for whole models."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from hasnn_jax.interop import torch_weights
from hasnn_jax.models import HybridResNet, layers

torch = pytest.importorskip("torch")

# (our layer, its input shape, PyTorch's layer, fan-in)
LAYERS = {
    "conv 7x7": (layers.Conv(64, 7, 2), (1, 8, 8, 3), lambda: torch.nn.Conv2d(3, 64, 7, bias=False), 147),
    "conv 3x3": (layers.Conv(48, 3), (1, 4, 4, 32), lambda: torch.nn.Conv2d(32, 48, 3, bias=False), 288),
    "conv 1x1": (layers.Conv(256, 1), (1, 4, 4, 64), lambda: torch.nn.Conv2d(64, 256, 1, bias=False), 64),
    "dense": (layers.Dense(2000), (1, 50), lambda: torch.nn.Linear(50, 2000), 50),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_starts_with_pytorchs_distribution(name):
    ours, shape, make_theirs, fan_in = LAYERS[name]
    torch.manual_seed(0)
    theirs = {"kernel" if n == "weight" else n: p.detach().numpy() for n, p in make_theirs().named_parameters()}
    params = ours.init(jax.random.key(0), jnp.zeros(shape))["params"]
    assert params.keys() == theirs.keys()
    bound = 1 / math.sqrt(fan_in)
    for leaf, expected in theirs.items():
        values = np.asarray(params[leaf])
        assert values.size == expected.size
        for drawn in (values, expected):
            assert_uniform(drawn, bound)
        assert stats.ks_2samp(values.ravel(), expected.ravel()).pvalue > 1e-3


@pytest.mark.parametrize("fan_in", [1, 27, 4096])
def test_initial_values_are_uniform_up_to_one_over_root_fan_in(fan_in):
    drawn = layers.torch_uniform(fan_in)(jax.random.key(1), (200_000,))
    assert drawn.dtype == jnp.float32
    assert_uniform(np.asarray(drawn), 1 / math.sqrt(fan_in))


def test_batch_norm_starts_as_pytorchs():
    variables = layers.BatchNorm().init(jax.random.key(0), jnp.zeros((2, 3, 3, 5)), train=True)
    ours = {**variables["params"], **variables["batch_stats"]}
    theirs = torch.nn.BatchNorm2d(5)
    names = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    for name, torch_name in names.items():
        np.testing.assert_array_equal(ours[name], getattr(theirs, torch_name).detach().numpy())
    assert layers.BatchNorm().momentum == theirs.momentum
    assert layers.BatchNorm().epsilon == theirs.eps


def test_model_starts_with_twins_ranges(torch_twin):
    size = {"num_classes": 100, "stage_sizes": (1,), "base_width": 16}
    torch.manual_seed(0)
    theirs = torch_twin.HybridResNet(**size).state_dict()
    port = HybridResNet(**size)
    init = jax.jit(lambda key: port.init(key, jnp.zeros((1, 16, 16, 3))))
    ours = torch_weights.to_state_dict(port, init(jax.random.key(0)))
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        expected = tensor.numpy()
        assert ours[name].shape == expected.shape, name
        if expected.ndim >= 2 or name == "fc.bias":
            fan_in = theirs["fc.weight"].shape[1] if name == "fc.bias" else np.prod(expected.shape[1:])
            assert_uniform(ours[name], 1 / math.sqrt(fan_in))
            assert_uniform(expected, 1 / math.sqrt(fan_in))
        else:
            np.testing.assert_array_equal(ours[name], expected, err_msg=name)


def assert_uniform(values, bound):
    """All values are within the bound, the largest is close to it, and mean and variance are those of a uniform
    distribution to within five standard errors.
    """
    n = values.size
    assert np.abs(values).max() <= np.float32(bound)
    assert np.abs(values).max() > bound * (1 - 12 / n)  # fails once in e^12 draws
    assert abs(values.mean()) < 5 * bound / math.sqrt(3 * n)
    assert abs(np.mean((values / bound) ** 2) - 1 / 3) < 5 * math.sqrt(4 / 45 / n)

"""Compares neurons, spike surrogates and normalisation over time with SpikingJelly, in float64."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax import core
from hasnn_jax.models import layers

torch = pytest.importorskip("torch")
pytest.importorskip("spikingjelly")

from spikingjelly.activation_based import layer, neuron, surrogate  # noqa: E402

SURROGATES = [
    pytest.param(core.ArcTan(), surrogate.ATan(), id="arctan"),
    pytest.param(core.ArcTan(3.0), surrogate.ATan(3.0), id="arctan(alpha=3)"),
    pytest.param(core.Sigmoid(), surrogate.Sigmoid(), id="sigmoid"),
    pytest.param(core.Sigmoid(1.5), surrogate.Sigmoid(1.5), id="sigmoid(alpha=1.5)"),
    pytest.param(core.Triangle(), surrogate.PiecewiseQuadratic(1.0), id="triangle"),
    pytest.param(core.Triangle(2.0, 0.5), surrogate.PiecewiseQuadratic(2.0), id="triangle(gamma=2, width=0.5)"),
    pytest.param(core.FastSigmoid(2.0), surrogate.SoftSign(2.0), id="fast_sigmoid(alpha=2)"),  # else scaled
]


@pytest.mark.parametrize(("ours", "theirs"), SURROGATES)
def test_spike_and_its_derivative_equal_spikingjellys(ours, theirs, x64):
    u = np.random.default_rng(0).normal(0, 1, 1000)
    u[0] = 0  # exactly at the threshold, where a neuron fires
    leaf = torch.tensor(u, requires_grad=True)
    spikes = theirs(leaf)
    spikes.sum().backward()
    np.testing.assert_array_equal(core.spike(jnp.asarray(u), ours), spikes.detach().numpy())
    derivative = jax.grad(lambda u: core.spike(u, ours).sum())(jnp.asarray(u))
    np.testing.assert_allclose(derivative, leaf.grad.numpy(), rtol=1e-12, atol=1e-15)


CHARGING = [core.IF(), core.LIF(), core.LIF(tau=3.7), core.LIF(decay_input=False), core.LIF(tau=3.7, decay_input=False)]
NEURONS = [
    dataclasses.replace(neuron, reset=reset, detach_reset=detach)
    for neuron in CHARGING
    for reset in ("hard", "soft")
    for detach in (False, True)
]
NEURONS += [dataclasses.replace(neuron, surrogate=core.Sigmoid(), threshold=0.7) for neuron in NEURONS[:8]]


@pytest.mark.parametrize("ours", NEURONS, ids=repr)
def test_neuron_equals_spikingjellys(ours, x64):
    rng = np.random.default_rng(1)
    currents = rng.normal(1, 2, (8, 50))
    spike_weights, membrane_weights = rng.normal(size=(2, 8, 50))

    theirs = spikingjelly_neuron(ours)
    leaf = torch.tensor(currents, requires_grad=True)
    spikes = theirs(leaf)
    membranes = theirs.v_seq
    (spikes * torch.tensor(spike_weights) + membranes * torch.tensor(membrane_weights)).sum().backward()
    spikes, membranes = spikes.detach().numpy(), membranes.detach().numpy()

    @jax.jit
    def run(currents):
        def weighed(currents):
            spikes, membranes = ours.trace(currents)
            return (spike_weights * spikes).sum() + (membrane_weights * membranes).sum(), (spikes, membranes)

        gradient, traced = jax.grad(weighed, has_aux=True)(currents)
        return ours(currents), traced, gradient

    our_spikes, traced, gradient = run(currents)
    assert 0.1 < spikes.mean() < 0.9
    np.testing.assert_array_equal(our_spikes, spikes)
    np.testing.assert_array_equal(traced[0], spikes)
    np.testing.assert_allclose(traced[1], membranes, rtol=0, atol=1e-13)
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), rtol=0, atol=1e-11)

    theirs.reset()
    in_evaluation = theirs.eval()(torch.tensor(currents))  # SpikingJelly uses other code in evaluation
    np.testing.assert_array_equal(our_spikes, in_evaluation.numpy())
    np.testing.assert_allclose(traced[1], theirs.v_seq.numpy(), rtol=0, atol=1e-13)


def spikingjelly_neuron(ours):
    shared = {
        "v_threshold": ours.threshold,
        "v_reset": 0.0 if ours.reset == "hard" else None,
        "detach_reset": ours.detach_reset,
        "surrogate_function": {core.ArcTan(): surrogate.ATan(), core.Sigmoid(): surrogate.Sigmoid()}[ours.surrogate],
        "step_mode": "m",
        "store_v_seq": True,
    }
    if isinstance(ours, core.LIF):
        return neuron.LIFNode(tau=ours.tau, decay_input=ours.decay_input, **shared)
    return neuron.IFNode(**shared)


@pytest.mark.parametrize("momentum", [0.1, 0.1**0.5])
@pytest.mark.parametrize("shape", [(8, 2, 3, 5, 4), (8, 3, 1, 1, 6), (1, 2, 1, 1, 3)])  # [T, B, H, W, C]
def test_batch_norm_over_time_equals_spikingjellys(shape, momentum, x64):
    rng, channels = np.random.default_rng(2), shape[-1]
    scale, bias = rng.uniform(0.5, 1.5, channels), rng.normal(size=channels)
    theirs = layer.BatchNorm2d(channels, momentum=momentum, step_mode="m").double()
    theirs.load_state_dict({"weight": torch.tensor(scale), "bias": torch.tensor(bias)}, strict=False)
    ours = layers.BatchNorm(momentum)
    params = {"scale": jnp.asarray(scale), "bias": jnp.asarray(bias)}
    stats = {"mean": jnp.zeros(channels), "var": jnp.ones(channels)}

    for _ in range(3):  # the running statistics change with every step
        x, cotangent = rng.normal(0.3, 2.0, (2, *shape))
        leaf = channels_first(x).requires_grad_()
        theirs.zero_grad()
        y = theirs(leaf)
        y.backward(channels_first(cotangent))

        def apply(params, x, stats=stats):
            return ours.apply({"params": params, "batch_stats": stats}, x, train=True, mutable=["batch_stats"])

        our_y, pull_back, updates = jax.vjp(apply, params, jnp.asarray(x), has_aux=True)
        param_gradients, x_gradient = pull_back(jnp.asarray(cotangent))
        stats = updates["batch_stats"]
        close = {"rtol": 1e-10, "atol": 1e-12}
        np.testing.assert_allclose(our_y, channels_last(y), **close)
        np.testing.assert_allclose(x_gradient, channels_last(leaf.grad), **close)
        np.testing.assert_allclose(param_gradients["scale"], theirs.weight.grad.numpy(), **close)
        np.testing.assert_allclose(param_gradients["bias"], theirs.bias.grad.numpy(), **close)
        np.testing.assert_allclose(stats["mean"], theirs.running_mean.numpy(), **close)
        np.testing.assert_allclose(stats["var"], theirs.running_var.numpy(), **close)

    with torch.no_grad():
        expected = theirs.eval()(channels_first(x))
    actual = ours.apply({"params": params, "batch_stats": stats}, jnp.asarray(x), train=False)
    np.testing.assert_allclose(actual, channels_last(expected), **close)


def channels_first(array):
    return torch.tensor(np.moveaxis(array, -1, -3).copy())


def channels_last(tensor):
    return np.moveaxis(tensor.detach().numpy(), -3, -1)

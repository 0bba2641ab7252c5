import math

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from hasnn_jax import core

few = hypothesis.settings(deadline=None, max_examples=25)
fire = jax.jit(lambda neuron, currents: neuron(currents), static_argnums=0)
trace = jax.jit(lambda neuron, currents: neuron.trace(currents), static_argnums=0)
EVERY_KIND = [
    kind(reset=reset, detach_reset=detach)
    for kind in (core.IF, core.LIF)
    for reset in ("hard", "soft")
    for detach in (False, True)
]


@pytest.mark.parametrize(
    ("name", "neuron"),
    [
        ("lif_tau2", core.LIF()),
        ("lif_tau4", core.LIF(tau=4.0)),
        ("lif_tau2_nodecayinput", core.LIF(decay_input=False)),
        ("lif_tau2_softreset", core.LIF(reset="soft")),
        ("lif_tau2_detach", core.LIF(detach_reset=True)),
        ("if_hard", core.IF()),
        ("if_soft", core.IF(reset="soft")),
        ("if_hard_sigmoid", core.IF(surrogate=core.Sigmoid(4.0))),
    ],
)
def test_neuron_reproduces_the_release(golden, x64, name, neuron):
    numbers = golden("neurons")
    spikes, backward = jax.vjp(lambda x: fire(neuron, x), jnp.asarray(numbers["x"]))
    (gradient,) = backward(jnp.asarray(numbers["cotangent"]))
    _, membranes = trace(neuron, jnp.asarray(numbers["x"]))

    np.testing.assert_array_equal(spikes, numbers[f"{name}_spikes"])
    np.testing.assert_allclose(membranes, numbers[f"{name}_v"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gradient, numbers[f"{name}_grad_x"], rtol=1e-9)


# Computed by hand. Every number is a sum of powers of two, and therefore exact.
@pytest.mark.parametrize(
    ("neuron", "currents", "spikes", "membranes"),
    [
        (core.IF(), [0.5] * 5, [0, 1, 0, 1, 0], [0.5, 0, 0.5, 0, 0.5]),
        (core.IF(), [0.75] * 4, [0, 1, 0, 1], [0.75, 0, 0.75, 0]),
        (core.IF(reset="soft"), [0.75] * 5, [0, 1, 1, 1, 0], [0.75, 0.5, 0.25, 0, 0.75]),
        (core.IF(threshold=0.5), [0.25, 0.25, -1.0, 2.0], [0, 1, 0, 1], [0.25, 0, -1, 0]),
        (core.IF(threshold=0.5, reset="soft"), [2.0, 0.0, -2.0], [1, 1, 0], [1.5, 1, -1]),
        (core.LIF(), [1.5, 1.5, 1.5], [0, 1, 0], [0.75, 0, 0.75]),
        (core.LIF(), [2.0, 2.0], [1, 1], [0, 0]),
        (core.LIF(tau=4.0), [2.0, 2.0, 2.0], [0, 0, 1], [0.5, 0.875, 0]),
        (core.LIF(decay_input=False), [0.75, 0.75, 0.5], [0, 1, 0], [0.75, 0, 0.5]),
        (core.LIF(reset="soft"), [3.0, 0.5, 2.0], [1, 0, 1], [0.5, 0.5, 0.25]),
    ],
    ids=repr,
)
def test_spikes_and_membranes_are_those_worked_out_by_hand(neuron, currents, spikes, membranes):
    spiked, membrane = neuron.trace(jnp.asarray(currents))

    np.testing.assert_array_equal(spiked, spikes)
    np.testing.assert_array_equal(membrane, membranes)
    np.testing.assert_array_equal(neuron(jnp.asarray(currents)), spikes)


@pytest.mark.parametrize("neuron", EVERY_KIND, ids=repr)
def test_hard_reset_zeroes_membrane_and_soft_reset_keeps_the_excess(neuron):
    spikes, membranes = trace(neuron, jnp.asarray([[5.0, 0.1]]))
    charged = 2.5 if isinstance(neuron, core.LIF) else 5.0

    np.testing.assert_array_equal(spikes, [[1, 0]])
    assert membranes[0, 0] == (0 if neuron.reset == "hard" else charged - 1)
    assert membranes[0, 1] > 0


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_gradient_through_the_reset_is_the_chain_rule_over_two_steps(x64, reset, detach):
    threshold, x1, x2 = 1.25, 1.5, 0.6

    def slope(u):
        return 1 / (1 + (math.pi * u) ** 2)

    h1, fired = x1, 1.0
    through = 0.0 if detach else slope(h1 - threshold)
    dv1 = (1 - fired) - h1 * through if reset == "hard" else 1 - threshold * through
    v1 = 0.0 if reset == "hard" else h1 - threshold
    expected = [slope(v1 + x2 - threshold) * dv1, slope(v1 + x2 - threshold)]

    neuron = core.IF(threshold=threshold, reset=reset, detach_reset=detach)
    gradient = jax.grad(lambda x: fire(neuron, x)[1])(jnp.asarray([x1, x2]))
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


def test_leak_divides_what_the_past_contributes_to_the_gradient(x64):
    # Far below the threshold no neuron resets: ds[2]/dx[0] = slope(u) (1 - 1/tau)^2 / tau.
    neuron = core.LIF(tau=4.0, detach_reset=True)
    gradient = jax.grad(lambda x: fire(neuron, x)[2])(jnp.asarray([0.4, 0.2, 0.1]))
    u = 0.4 * 9 / 64 + 0.2 * 3 / 16 + 0.1 / 4 - 1

    np.testing.assert_allclose(gradient, np.asarray([9 / 64, 3 / 16, 1 / 4]) / (1 + (math.pi * u) ** 2), rtol=1e-12)


@pytest.mark.parametrize("neuron", EVERY_KIND, ids=repr)
def test_membrane_below_threshold_is_smooth_in_the_current(x64, neuron):
    def final_membrane(x):
        return 3 * trace(neuron, x)[1][-1]

    # There are no spikes. The surrogate gradient of the reset is not a true derivative, so numerical differentiation
    # agrees with the gradient only if the reset is detached.
    if neuron.detach_reset:
        check_grads(final_membrane, (jnp.asarray([[0.1, -0.2], [0.3, 0.1], [0.2, 0.2]]),), order=1, modes=["rev"])
    else:
        gradient = jax.grad(lambda x: final_membrane(x).sum())(jnp.full((3, 2), 0.1))
        assert (np.asarray(gradient[0]) < 3).all()


@hypothesis.given(hnp.arrays(np.float64, (8, 6), elements=st.floats(0, 3)), st.floats(0.2, 2))
@few
def test_integrate_and_fire_spikes_no_more_than_its_charge_pays_for(currents, threshold):
    with jax.enable_x64(True):
        count = np.asarray(fire_at(core.IF, currents, threshold)).sum(axis=0)

    assert (count * threshold <= currents.sum(axis=0) + 1e-9).all()
    assert (count >= (currents >= threshold).sum(axis=0)).all()


@hypothesis.given(hnp.arrays(np.float64, (8, 6), elements=st.floats(-3, 3)), st.floats(0.2, 2))
@few
def test_soft_reset_conserves_charge(currents, threshold):
    with jax.enable_x64(True):
        spikes, membranes = trace_at(currents, threshold)

    np.testing.assert_allclose(spikes.sum(axis=0) * threshold + membranes[-1], currents.sum(axis=0), atol=1e-9)


@hypothesis.given(hnp.arrays(np.float32, (8, 6), elements=st.floats(-3, 3, width=32)))
@few
def test_spikes_are_binary_and_depend_on_no_later_current(currents):
    for neuron in (core.IF(), core.LIF(), core.LIF(decay_input=False, reset="soft")):
        spikes = np.asarray(fire(neuron, currents))
        changed = np.asarray(fire(neuron, np.concatenate([currents[:5], 5 - currents[5:]])))

        assert np.isin(spikes, [0, 1]).all()
        np.testing.assert_array_equal(changed[:5], spikes[:5])


def test_leaky_neuron_never_fires_at_a_current_below_threshold_however_long():
    assert fire(core.LIF(), jnp.full((16,), 0.99)).sum() == 0
    assert fire(core.IF(), jnp.full((16,), 0.99)).sum() == 8


def test_program_of_a_long_spike_train_is_no_larger_than_of_a_short_one():
    short, long = (len(jax.jit(core.LIF()).lower(jnp.zeros((steps, 2))).as_text()) for steps in (16, 64))

    assert long < 1.5 * short


@pytest.mark.parametrize("neuron", EVERY_KIND, ids=repr)
def test_every_call_starts_at_rest(neuron):
    currents = jnp.full((1, 3), 0.6)

    np.testing.assert_array_equal(fire(neuron, currents), np.zeros((1, 3)))
    np.testing.assert_array_equal(fire(neuron, currents), np.zeros((1, 3)))


@pytest.mark.parametrize("steps", range(1, 9))
def test_any_number_of_steps_is_a_prefix_of_more(steps):
    currents = jnp.asarray(np.random.default_rng(3).normal(0.4, 0.5, (8, 5)), jnp.float32)

    np.testing.assert_array_equal(core.LIF()(currents[:steps]), fire(core.LIF(), currents)[:steps])


def test_bfloat16_currents_give_bfloat16_spikes_from_a_float32_membrane():
    # 1 + 1/512 rounds to 1 in bfloat16, where the eight small currents would be lost; in float32 the last one fires.
    currents = jnp.full((9,), 1 / 512, jnp.bfloat16).at[0].set(1 - 8 / 512)
    spikes, membranes = core.IF().trace(currents)

    assert fire(core.IF(), currents).dtype == jnp.bfloat16
    assert membranes.dtype == jnp.float32
    assert spikes[-1] == 1
    assert spikes[:-1].sum() == 0


@pytest.mark.parametrize("neuron", EVERY_KIND, ids=repr)
def test_neuron_maps_over_examples_and_keeps_their_gradients_apart(neuron):
    currents = jnp.asarray(np.random.default_rng(4).normal(0.5, 0.7, (8, 3, 2)), jnp.float32)
    mapped = jax.jit(jax.vmap(neuron, in_axes=1, out_axes=1))(currents)
    gradient = jax.grad(lambda x: fire(neuron, x)[:, 1].sum())(currents)

    np.testing.assert_array_equal(mapped, fire(neuron, currents))
    np.testing.assert_array_equal(gradient[:, 0], np.zeros((8, 2)))
    assert (np.asarray(gradient[:, 1]) != 0).any(axis=0).all()


def fire_at(kind, currents, threshold):
    return fire(kind(), currents / threshold)  # same spikes, with one compilation for all thresholds


def trace_at(currents, threshold):
    spikes, membranes = trace(core.IF(reset="soft"), currents / threshold)
    return np.asarray(spikes), np.asarray(membranes) * threshold


@pytest.mark.parametrize("neuron", EVERY_KIND, ids=repr)
@pytest.mark.parametrize("steps", [1, 3, 8, 9])  # up to 8 are packed into a byte on the way
def test_any_number_of_steps_spikes_and_differentiates_as_its_trace(x64, neuron, steps):
    currents = jnp.asarray(np.random.default_rng(steps).normal(0.5, 1, (steps, 40)))
    weights = jnp.arange(1.0, steps + 1)[:, None]
    spikes, backward = jax.vjp(lambda x: fire(neuron, x), currents)
    traced, of_trace = jax.vjp(lambda x: trace(neuron, x)[0], currents)

    np.testing.assert_array_equal(spikes, traced)
    cotangent = jnp.broadcast_to(weights, currents.shape)
    np.testing.assert_allclose(backward(cotangent)[0], of_trace(cotangent)[0], rtol=1e-12)

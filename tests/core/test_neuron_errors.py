import jax.numpy as jnp
import pytest

from hasnn_jax import core


@pytest.mark.parametrize("threshold", [0, -1.0, float("nan")])
def test_a_threshold_that_is_not_positive_is_refused(threshold):
    with pytest.raises(ValueError, match=f"threshold: expected a number above 0, got {threshold}"):
        core.IF(threshold=threshold)


def test_an_unknown_reset_is_refused():
    with pytest.raises(ValueError, match="reset: expected 'hard' or 'soft', got 'none'"):
        core.LIF(reset="none")


@pytest.mark.parametrize("tau", [1.0, 0.5, -2.0, float("inf"), float("nan")])
def test_a_time_constant_of_one_step_or_less_is_refused(tau):
    with pytest.raises(ValueError, match=f"tau: expected a finite number above 1, got {tau}"):
        core.LIF(tau=tau)


@pytest.mark.parametrize("shape", [(), (0, 3)])
def test_currents_without_a_time_step_are_refused(shape):
    with pytest.raises(ValueError, match=r"currents: expected an array \[T, ...\] with at least one time step, got"):
        core.IF()(jnp.zeros(shape))


def test_integer_currents_are_refused_with_the_fix():
    with pytest.raises(TypeError, match=r"currents: expected a floating dtype, got int32; use currents.astype"):
        core.IF()(jnp.zeros((8, 2), jnp.int32))


def test_a_neuron_that_is_neither_if_nor_lif_says_so():
    with pytest.raises(TypeError, match="Neuron does not define how its membrane charges; use IF or LIF"):
        core.Neuron()(jnp.zeros((8, 2)))


def test_neurons_are_hashable_values():
    assert len({core.IF(), core.IF(1.0), core.LIF(), core.LIF(tau=2), core.LIF(tau=3.0)}) == 3

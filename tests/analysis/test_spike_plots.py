"""Plots of neurons show their currents, membranes before the reset, and spikes."""

import numpy as np
import pytest

from hasnn_jax import core
from hasnn_jax.analysis.spike_plots import membranes, plot_neurons, plot_spike_maps

CURRENTS = np.array([[0.6, 0.2], [0.6, 0.2], [0.6, -0.5], [0.6, 2.0]], np.float32)  # [T, N]


@pytest.mark.parametrize(
    ("neuron", "expected"),
    [
        (core.IF(), [[0.6, 1.2, 0.6, 1.2], [0.2, 0.4, -0.1, 1.9]]),
        (core.IF(reset="soft"), [[0.6, 1.2, 0.8, 1.4], [0.2, 0.4, -0.1, 1.9]]),
        (core.LIF(tau=2.0), [[0.3, 0.45, 0.525, 0.5625], [0.1, 0.15, -0.175, 0.9125]]),
    ],
)
def test_membranes_are_those_before_the_reset(neuron, expected):
    before, spikes = membranes(CURRENTS, neuron)

    np.testing.assert_allclose(before.T, expected, rtol=1e-6)
    np.testing.assert_array_equal(spikes, neuron(CURRENTS))
    np.testing.assert_array_equal(spikes, before >= 1)


def test_each_neuron_has_its_current_membrane_and_spikes():
    first, second = plot_neurons(CURRENTS, core.IF(), ["a", "b"]).axes

    assert (first.get_title(), second.get_title()) == ("a", "b")
    np.testing.assert_allclose([bar.get_height() for bar in second.patches], CURRENTS[:, 1])
    lines = {line.get_label(): line.get_data() for line in first.get_lines()}
    np.testing.assert_allclose(lines["membrane"][1], [0, 0.6, 0.6, 1.2, 0, 0.6, 0.6, 1.2], rtol=1e-6)
    np.testing.assert_allclose(lines["spike"][1], [1.2, 1.2], rtol=1e-6)


def test_places_without_a_neuron_are_empty():
    figure = plot_neurons(np.zeros((8, 4)), core.IF(), list("abcd"))

    assert [axes.axison for axes in figure.axes] == [True] * 4 + [False] * 2


def test_maps_have_a_column_a_step_and_a_row_a_quantity():
    currents = np.random.default_rng(0).normal(0.3, 0.5, (3, 4, 5)).astype(np.float32)
    before, spikes = membranes(currents, core.IF())

    figure = plot_spike_maps(currents, core.IF(), "a layer")
    pictures = np.reshape([axes.images[0].get_array() for axes in figure.axes[:9]], (3, 3, 4, 5))

    assert figure.get_suptitle() == "a layer"
    assert [axes.get_title() for axes in figure.axes[:3]] == ["t = 0", "t = 1", "t = 2"]
    assert [axes.get_ylabel() for axes in figure.axes[:9:3]] == ["current", "membrane", "spikes"]
    np.testing.assert_allclose(pictures, [currents, before, spikes])

"""Energy estimates of single layers, worked out by hand from the table of constants."""

import dataclasses

import pytest

from hasnn_jax.analysis.activity import Operations
from hasnn_jax.analysis.energy import Energy, access_energy, layer_energy, streaming_energy
from hasnn_jax.analysis.layer_costs import LayerCost

SPIKING = LayerCost("s", True, 8, parameters=10, inputs=100, outputs=50, macs=8000, macs_on_values=8000)
DENSE = dataclasses.replace(SPIKING, name="d", spiking=False, steps=1, macs=1000, macs_on_values=1000)


def test_a_spiking_layer():
    energy = layer_energy(SPIKING, Operations(acs=(100,) * 8, macs=(0,) * 8), images=2)  # 400 for an image

    assert energy.arithmetic == pytest.approx(400 * 0.9)
    # All arrays fit in 8 KB, where 32 bits take 5 pJ and one bit 10 / 64.
    operations = 400 * (5 + 2 * 5)
    steps = 8 * (100 * 10 / 64 + 50 * 10 / 64 + 50 * 2 * 5)
    assert energy.with_movement == pytest.approx(400 * 0.9 + operations + steps)


def test_a_dense_layer():
    energy = layer_energy(DENSE, Operations(acs=(0,), macs=(1600,)), images=2)

    assert energy.arithmetic == pytest.approx(800 * 4.6)
    assert energy.with_movement == pytest.approx(800 * 4.6 + 800 * (5 + 5) + 50 * 5)


@pytest.mark.parametrize("layer", [SPIKING, DENSE])
def test_the_8_bit_network_calls_a_layer_once_and_skips_nothing(layer):
    energy = layer_energy(layer, Operations((0,) * layer.steps, (0,) * layer.steps), images=1)

    assert energy.quantised == pytest.approx(1000 * 0.3)
    assert energy.quantised_with_movement == pytest.approx(1000 * 0.3 + 1000 * (1.25 + 1.25) + 50 * 1.25)


def test_a_larger_array_lies_in_a_larger_memory():
    sizes = [2048, 2049, 8192, 8193, 262_144, 262_145]  # of 4 bytes: 8 KB, 32 KB and 1 MB hold these
    assert [access_energy(n, 32) for n in sizes] == [5, 10, 10, 50, 50, 50]
    assert [streaming_energy(n, 32) for n in sizes] == [0, 0, 0, 0, 0, 262_145 * 650]


def test_energies_add_up():
    assert Energy(1, 2, 3, 4) + Energy(10, 20, 30, 40) == Energy(11, 22, 33, 44)

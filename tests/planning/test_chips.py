"""The figures in the table of TPU generations are consistent."""

import pytest

from hasnn_jax.planning.chips import CHIPS


@pytest.mark.parametrize("name", CHIPS)
def test_clock_and_published_peak_agree(name):
    chip = CHIPS[name]
    # Side and number of the matrix units of a device.
    side, units = {"v4": (128, 8), "v5e": (128, 4), "v5p": (128, 8), "v6e": (256, 4), "tpu7x": (256, 4)}[name]
    assert 2 * side**2 * units * chip.clock == pytest.approx(chip.flops, rel=0.005)
    assert 0.9 < chip.usable / chip.memory < 1.06  # some published gigabytes are 2^30 bytes
    assert all(len(size.split("x")) == chip.dimensions for size in chip.sizes)

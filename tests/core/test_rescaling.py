"""The factors on the planes' gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax import core


def test_order_aware_rescaling_is_k_over_two_to_the_seven_minus_k():
    factors = [core.order_aware_rescaling(k) for k in range(8)]

    assert factors == [0, 0.015625, 0.0625, 0.1875, 0.5, 1.25, 3.0, 7.0]


def test_no_rescaling_leaves_every_plane_alone():
    assert [core.no_rescaling(k) for k in range(8)] == [1.0] * 8


def test_power_rescaling_is_gain_times_a_power_of_k_times_a_power_of_two():
    factors = [core.PowerRescaling(order=2, exponent=0.5, gain=3)(k) for k in range(8)]

    np.testing.assert_allclose(factors, 3 * np.arange(8) ** 2 * np.sqrt(2.0) ** (np.arange(8) - 7), rtol=1e-12)


def test_the_papers_rescaling_and_its_ablation_are_powers():
    assert core.PowerRescaling(order=1, exponent=1, gain=1) == core.order_aware_rescaling
    assert core.PowerRescaling(order=0, exponent=0, gain=1) == core.no_rescaling


def test_with_unit_gain_a_gradient_keeps_its_size_through_decoder_and_encoder():
    def gain(rescaling):
        coding = core.BitPlaneCoding(surrogate=core.ConstantSlope(0.5), rescaling=rescaling)
        return jax.grad(lambda x: core.decode_bit_planes(core.encode(x, coding, (0.0, 1.0))))(jnp.float32(0.3))

    assert gain(core.unit_gain_rescaling) == pytest.approx(1, rel=1e-4)
    assert gain(core.order_aware_rescaling) == pytest.approx(568.89, rel=1e-4)


@pytest.mark.parametrize("fault", [{"order": -1}, {"gain": float("inf")}, {"exponent": "1"}, {"exponent": -1e4}])
def test_a_rescaling_without_finite_factors_is_refused(fault):
    with pytest.raises(ValueError, match="expected numbers"):
        core.PowerRescaling(**fault)

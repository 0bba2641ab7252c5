"""No time is reported of two computations that differ."""

import pytest
from agreement import TOLERANCE, require_agreement


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_loss_within_the_tolerance_agrees(dtype):
    require_agreement(2 * (1 + 0.9 * TOLERANCE[dtype]), 2.0, dtype, "twin")


@pytest.mark.parametrize("loss", [2.00003, float("nan")])
def test_another_loss_is_refused(loss):
    with pytest.raises(AssertionError, match="twin, first step: expected the port's loss of 2 within 1e-05 of it, got"):
        require_agreement(loss, 2.0, "float64", "twin, first step")

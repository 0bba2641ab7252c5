"""The variants of a sweep, and the straight line through their costs."""

import pytest
from cost_sweep import straight_line, sweep_cases
from train_step_cases import Case


def test_points_on_a_line_give_that_line():
    line = straight_line([4, 8, 16], [11, 19, 35])

    assert line == pytest.approx({"intercept": 3, "slope": 2, "r_squared": 1, "largest_deviation": 0}, abs=1e-12)


def test_a_square_law_is_off_the_line():
    line = straight_line([1, 2, 3], [1, 4, 9])

    # Least squares by hand: y = 4 x - 10 / 3, residuals 1/3, -2/3, 1/3; the variance is 98/3.
    assert line == pytest.approx(
        {"intercept": -10 / 3, "slope": 4, "r_squared": 1 - (6 / 9) / (98 / 3), "largest_deviation": 1 / 3}
    )


def test_a_constant_cost_is_a_straight_line():
    assert straight_line([1, 2, 3], [5, 5, 5])["r_squared"] == 1


def test_one_of_batch_and_planes_varies_at_a_time():
    case = Case("has8_resnet10_b8", batch=16, image_size=32)

    axes = sweep_cases(case)

    assert {batch: variant.batch for batch, variant in axes["batch"].items()} == {n: n for n in (4, 8, 16, 32, 64)}
    assert {kept: variant.config().model.spiking.planes for kept, variant in axes["planes"].items()} == {
        2: 2, 4: 4, 8: None,
    }  # fmt: skip
    assert axes["batch"][16] == axes["planes"][8] == case

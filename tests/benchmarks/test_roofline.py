"""FLOPs of a step, and how near a time is to the roofline."""

import pytest
import roofline

import hasnn_jax


def test_the_greater_of_arithmetic_and_traffic_bounds_the_time():
    of_products = roofline.roofline(2.0, flops=100, accessed=10, product_rate=100, copy_rate=40)
    of_copies = roofline.roofline(2.0, flops=100, accessed=60, product_rate=100, copy_rate=40)

    assert of_products == {"products": 1.0, "copies": 0.25, "of_products": 0.5, "of_roofline": 0.5}
    assert of_copies == {"products": 1.0, "copies": 1.5, "of_products": 0.5, "of_roofline": 0.75}


def test_without_a_count_of_bytes_there_is_no_share_of_the_roofline():
    bounds = roofline.roofline(2.0, flops=100, accessed=None, product_rate=100, copy_rate=40)

    assert bounds == {"products": 1.0, "copies": None, "of_products": 0.5, "of_roofline": None}


def test_a_step_has_three_products_of_each_layer_but_two_of_those_on_images():
    model = hasnn_jax.create_model("has8_vgg_b1_m1_d1", num_classes=2, paths=("ann",))
    # Two blocks of 3 -> 3 channels on 4x4 and 2x2 pixels, then 3 -> 1024 -> 512 -> 2. Of the 3x3 kernels, 10 of 12
    # positions along an axis of four pixels are on values, and 4 of 6 of two.
    first, rest = 10**2 * 9, 4**2 * 9 + 3 * 1024 + 1024 * 512 + 512 * 2

    flops = roofline.step_flops(model, (4, 4, 3), batch=5)

    assert flops == {"evaluation": 5 * 2 * (first + rest), "step": 5 * 2 * (2 * first + 3 * rest)}


def test_rates_are_measured_for_each_dtype_and_a_copy(monkeypatch):
    monkeypatch.setattr(roofline, "MATRIX", {"cpu": 64, "gpu": 64})
    monkeypatch.setattr(roofline, "COPIED", 2**12)

    rates = roofline.device_rates(["float32", "bfloat16"])

    assert rates.keys() == {"float32", "bfloat16", "copy"}
    assert all(rate > 0 for rate in rates.values())


@pytest.mark.parametrize("name", ["has8_resnet10_b8", "has8_vgg_b2_m2_d2"])
def test_a_step_costs_less_than_three_evaluations_and_more_than_two(name):
    flops = roofline.step_flops(hasnn_jax.create_model(name, num_classes=10), (32, 32, 3), batch=1)

    assert 2 < flops["step"] / flops["evaluation"] < 3

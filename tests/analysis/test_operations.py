"""Effective operations of single layers, worked out by hand and by going through every tap."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax.analysis.operations import InputCounts, count_inputs, effective_operations
from hasnn_jax.models.layers import Conv, Dense


def operations(layer, x, kernel):
    return effective_operations(jax.device_get(count_inputs(layer, jnp.asarray(x))), np.asarray(kernel)).tolist()


def test_a_spiking_convolution_worked_out_by_hand():
    x = np.zeros((3, 1, 3, 3, 1), np.float32)
    x[0, 0, 0, 0] = x[0, 0, 1, 1] = 1  # a corner reaches 4 outputs, the centre all 9
    x[1, 0, 0, 1] = 0.5  # an edge reaches 6 outputs, with a multiplication
    kernel = np.ones((3, 3, 1, 2))  # two output channels

    assert operations(Conv(2, 3), x, kernel) == [[26, 0], [0, 12], [0, 0]]


def test_a_spiking_linear_layer_worked_out_by_hand():
    x = np.array([[[1, 0, 1]], [[0, 0, 0]], [[1.5, 1, 0]]], np.float32)  # 3 steps, 1 image, 3 inputs
    kernel = np.ones((3, 4))

    assert operations(Dense(4), x, kernel) == [[8, 0], [0, 0], [0, 8]]


def test_a_depthwise_convolution_worked_out_by_hand():
    x = np.zeros((1, 1, 3, 3, 2), np.float32)
    x[0, 0, 0, 0, 0] = 1  # a corner reaches 4 outputs of its channel
    x[0, 0, 1, 1, 1] = 1  # the centre all 9, and a weight of it is zero
    kernel = np.ones((3, 3, 1, 2))
    kernel[0, 0, 0, 1] = 0

    assert operations(Conv(2, 3, groups=2), x, kernel) == [[4 + 8, 0]]


def test_channels_of_a_group_lead_to_the_outputs_of_their_group_alone():
    x = np.zeros((4, 1, 1, 1, 4), np.float32)
    x[np.arange(4), 0, 0, 0, np.arange(4)] = 1  # a channel at each step; two groups of two channels and three outputs
    kernel = np.ones((1, 1, 2, 6))
    kernel[0, 0, 1, 3:5] = 0  # of the second group's second channel, two of three weights

    assert operations(Conv(6, 1, groups=2), x, kernel) == [[3, 0], [3, 0], [3, 0], [1, 0]]


def test_a_weight_of_zero_costs_nothing():
    kernel = np.ones((3, 3, 1, 2))
    kernel[1, 1] = 0  # each value meets the centre of the kernel exactly once
    x = np.ones((1, 1, 3, 3, 1), np.float32)

    assert operations(Conv(2, 3), x, np.ones((3, 3, 1, 2))) == [[2 * 49, 0]]
    assert operations(Conv(2, 3), x, kernel) == [[2 * (49 - 9), 0]]


def test_each_image_of_a_step_is_a_call_of_its_own():
    x = np.zeros((1, 2, 3), np.float32)
    x[0, 0] = [1, 1, -1]  # minus one counts as a spike, as in NeuroBench
    x[0, 1] = [1, 1, 0.25]

    assert operations(Dense(5), x, np.ones((3, 5))) == [[15, 15]]


def test_the_inputs_are_counted_as_the_layer_sees_them():
    x = np.full((1, 1, 2), 1.001, np.float32)  # 1 in bfloat16

    assert operations(Dense(1), x, np.ones((2, 1))) == [[0, 2]]
    assert operations(Dense(1, jnp.bfloat16), x, np.ones((2, 1))) == [[2, 0]]


@pytest.mark.parametrize(("size", "kernel", "stride"), [((5, 7), 3, 1), ((6, 7), 3, 2), ((9, 8), 7, 2), ((5, 4), 1, 2)])
def test_convolutions_count_every_tap_that_meets_a_value(size, kernel, stride):
    rng = np.random.default_rng(0)
    x = (rng.random((2, 3, *size, 4)) < 0.4).astype(np.float32)
    weights = rng.integers(0, 2, (kernel, kernel, 4, 5))
    height, width = ((n + 2 * (kernel // 2) - kernel) // stride + 1 for n in size)
    expected = np.zeros(2, int)
    for row, column, r, c in itertools.product(range(height), range(width), range(kernel), range(kernel)):
        i, j = row * stride + r - kernel // 2, column * stride + c - kernel // 2
        if 0 <= i < size[0] and 0 <= j < size[1]:
            expected += (x[:, :, i, j, :].sum(axis=1) @ weights[r, c].sum(axis=1)).astype(int)

    assert operations(Conv(5, kernel, stride), x, weights) == [[n, 0] for n in expected]


def test_counts_beyond_32_bits_are_exact():
    spiking, all_calls = (np.full((1, 3), count, np.int32) for count in (2**30, 2**31 - 1))
    kernel = np.ones((3, 2**20))

    measured = effective_operations(InputCounts(spiking, all_calls, stride=None), kernel)
    assert measured.tolist() == [[3 * 2**30 * 2**20, 3 * (2**30 - 1) * 2**20]]

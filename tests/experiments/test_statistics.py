"""Means, spreads and paired intervals, against numbers worked out by hand and SciPy's own test."""

import math

import numpy as np
import pytest
from scipy import stats

from hasnn_jax.experiments.statistics import Difference, paired_difference, summarise, verdict


def test_the_spread_divides_by_one_less_than_the_seeds():
    summary = summarise([1.0, 2.0, 6.0])

    assert (summary.seeds, summary.mean) == (3, 3.0)
    assert summary.deviation == pytest.approx(math.sqrt((4 + 1 + 9) / 2))


def test_a_single_seed_has_no_spread_and_no_interval():
    assert summarise([0.5]).deviation is None
    assert paired_difference({1: 0.5}, {1: 0.4}) == Difference(1, pytest.approx(0.1), None, None)


def test_nothing_has_no_mean():
    assert summarise([]) is None
    assert paired_difference({1: 0.5}, {2: 0.5}) is None


def test_the_interval_is_that_of_a_table_of_students_t():
    found = paired_difference({1: 3.0, 2: 5.0, 3: 7.0}, {1: 2.0, 2: 3.0, 3: 4.0})  # differences 1, 2, 3
    half = 4.302652730 * 1 / math.sqrt(3)  # the 97.5 % point with two degrees of freedom

    assert (found.seeds, found.mean) == (3, 2.0)
    assert (found.low, found.high) == (pytest.approx(2 - half), pytest.approx(2 + half))


def test_the_interval_is_scipys_over_the_seeds_that_both_have():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(2, 6)).tolist()
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    found = paired_difference({**dict(enumerate(ours)), 7: 100.0}, {**dict(enumerate(theirs)), 8: -100.0})

    assert found.seeds == 6
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.3, "better"),
        (-0.3, -0.1, "worse"),
        (-0.1, 0.3, "cannot tell"),
        (0.0, 0.2, "cannot tell"),
        (0.2, 0.2, "cannot tell"),  # a few seeds that differ by the same number of images
        (None, None, "cannot tell"),
    ],
)
def test_only_an_interval_on_one_side_of_zero_decides(low, high, expected):
    assert verdict(Difference(3, 0.1, low, high)) == expected


def test_without_a_difference_nothing_can_be_told():
    assert verdict(None) == "cannot tell"

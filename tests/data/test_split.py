"""The stratified split: seeded, complete, disjoint, and fair to every class."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnn_jax.data.split import stratified_split

class_sizes = st.lists(st.integers(2, 40), min_size=1, max_size=6)
fractions = st.floats(0.01, 0.99)
seeds = st.integers(0, 2**32 - 1)


def shuffled_labels(sizes):
    return np.random.default_rng(len(sizes)).permutation(np.repeat(np.arange(len(sizes)), sizes))


@settings(deadline=None, max_examples=25)
@given(class_sizes, fractions, seeds)
def test_every_example_is_in_exactly_one_split_in_ascending_order(sizes, fraction, seed):
    labels = shuffled_labels(sizes)
    train, test = stratified_split(labels, fraction, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert list(train) == sorted(train)
    assert list(test) == sorted(test)


@settings(deadline=None, max_examples=25)
@given(class_sizes, fractions, seeds)
def test_every_class_gives_its_share_and_keeps_one_on_each_side(sizes, fraction, seed):
    labels = shuffled_labels(sizes)
    train, test = stratified_split(labels, fraction, seed)
    for label, size in enumerate(sizes):
        in_test = int(np.sum(labels[test] == label))
        assert np.sum(labels[train] == label) == size - in_test
        assert 1 <= in_test <= size - 1
        if 0.5 < fraction * size < size - 0.5:
            assert abs(in_test - fraction * size) <= 0.5 + 1e-9


def test_split_depends_on_the_seed_and_on_nothing_else():
    labels = shuffled_labels([30, 20])
    np.random.seed(0)  # noqa: NPY002  (the global generator must not matter)
    first = stratified_split(labels, 0.3, seed=1)
    np.random.seed(1)  # noqa: NPY002
    again = stratified_split(labels, 0.3, seed=1)
    other = stratified_split(labels, 0.3, seed=2)
    np.testing.assert_array_equal(first[1], again[1])
    assert set(first[1]) != set(other[1])


def test_members_are_drawn_at_random_within_a_class():
    labels = np.zeros(1000, int)
    _, test = stratified_split(labels, 0.5, seed=0)
    assert 400 < np.mean(test) < 600  # neither the head nor the tail
    assert 150 < np.sum(test < 500) < 350


def test_labels_need_not_start_at_zero_or_be_consecutive():
    train, test = stratified_split(np.array([7, 7, 7, 90, 90]), 0.34, seed=0)
    assert (len(train), len(test)) == (3, 2)


def test_a_class_with_one_example_is_refused_by_its_label():
    with pytest.raises(ValueError, match="class 5 has one example; a split needs at least two"):
        stratified_split(np.array([0, 0, 5]), 0.5, seed=0)

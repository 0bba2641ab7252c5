"""Splits labelled examples into a training and a test set, class by class."""

import numpy as np


def stratified_split(labels: np.ndarray, test_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the test examples of every class at random.

    Of every class, a share of `test_fraction` (rounded) goes to the test split; each split gets at least one example.

    Args:
      labels: class of each example, integers [N].
      test_fraction: between 0 and 1.
      seed: the split depends only on the seed and the labels.

    Returns:
      (indices of the training examples, indices of the test examples), both sorted, integers.

    Raises:
      ValueError: a class has only one example.
    """
    generator = np.random.default_rng(seed)
    in_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise ValueError(f"class {label} has one example; a split needs at least two")
        count = min(max(round(test_fraction * len(members)), 1), len(members) - 1)
        in_test[members[:count]] = True
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)

"""A seeded split of one set of labelled examples into two, class by class."""

import numpy as np


def stratified_split(labels: np.ndarray, test_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the test examples, both sorted.

    Every class gives `test_fraction` of its examples to the test split, rounded, and at least one to each side.

    Args:
      labels: class of each example, integers [N].
      test_fraction: between 0 and 1.
      seed: the split depends on it and on the labels alone.

    Raises:
      ValueError: a class has one example only.
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

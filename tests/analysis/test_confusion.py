"""The confusion matrix counts, and its picture shows the counts."""

import numpy as np
import pytest

from hasnn_jax.analysis.confusion import confusion_matrix, plot_confusion
from hasnn_jax.common.errors import InputError

MATRIX = np.array([[2, 1, 0], [0, 0, 0], [1, 0, 3]])


def test_rows_are_true_classes_and_columns_predicted_ones():
    matrix = confusion_matrix([0, 0, 0, 2, 2, 2, 2], [0, 0, 1, 2, 0, 2, 2], 3)

    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, MATRIX)


def test_no_images_are_no_counts():
    np.testing.assert_array_equal(confusion_matrix(np.zeros(0, int), np.zeros(0, int), 2), np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ([0, 1], [0], r"expected \[B\] for both, got shapes \(2,\) and \(1,\)"),
        ([0, 3], [0, 1], "expected 0 to 2, got 0 to 3"),
        ([0, 1], [-1, 1], "expected 0 to 2, got -1 to 1"),
    ],
)
def test_classes_that_do_not_fit_are_refused(labels, predicted, message):
    with pytest.raises(InputError, match=message):
        confusion_matrix(labels, predicted, 3)


def test_counts_and_class_names_are_drawn():
    axes, _ = plot_confusion(MATRIX, ("ant", "bee", "cow"), "a model").axes

    assert axes.get_title() == "a model"
    assert [text.get_text() for text in axes.texts] == ["2", "1", "1", "3"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ant", "bee", "cow"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[2 / 3, 1 / 3, 0], [0, 0, 0], [1 / 4, 0, 3 / 4]])


def test_many_classes_are_drawn_without_numbers():
    axes, _ = plot_confusion(np.eye(21, dtype=int), [str(i) for i in range(21)]).axes

    assert not axes.texts

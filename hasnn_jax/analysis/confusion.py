"""Which classes a classifier takes for which."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from hasnn_jax.common.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NUMBERED = 20  # classes; with more of them the numbers would be too small to read


def confusion_matrix(labels: ArrayLike, predicted: ArrayLike, num_classes: int) -> np.ndarray:
    """Counts images by true and predicted class.

    Args:
      labels: true classes, whole numbers [B] in 0..num_classes - 1.
      predicted: the classes that a model gave, in the same form.
      num_classes: how many classes there are.

    Returns:
      int64 [num_classes, num_classes]: a row for each true class, a column for each predicted one.

    Raises:
      InputError: the two differ in shape, or a class is out of range.
    """
    true, given = np.asarray(labels), np.asarray(predicted)
    if true.shape != given.shape or true.ndim != 1:
        raise InputError(f"labels and predicted: expected [B] for both, got shapes {true.shape} and {given.shape}")
    for classes in (true, given):
        if classes.size and not 0 <= classes.min() <= classes.max() < num_classes:
            raise InputError(f"classes: expected 0 to {num_classes - 1}, got {classes.min()} to {classes.max()}")
    matrix = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(matrix, (true.astype(int), given.astype(int)), 1)
    return matrix


def plot_confusion(matrix: ArrayLike, classes: Sequence[str], title: str = "") -> "Figure":
    """Draws a confusion matrix; the shade of a cell is its share of the images of its true class.

    Args:
      matrix: counts [C, C], of `confusion_matrix`.
      classes: class names, in the order of the rows.
      title: of the figure.

    Returns:
      A matplotlib figure. Counts other than 0 are written into the cells if there are no more than 20 classes.
    """
    from matplotlib.figure import Figure

    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2 + 0.34 * min(len(classes), MOST_NUMBERED)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    axes = figure.subplots()
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(drawn, ax=axes, shrink=0.8, label="share of the true class")
    if len(classes) <= MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.6 else "black"
                axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
        axes.set_xticks(range(len(classes)), classes, rotation=90 if max(map(len, classes)) > 2 else 0)
        axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted class", ylabel="true class", title=title)
    return figure

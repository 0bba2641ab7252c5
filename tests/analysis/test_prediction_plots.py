"""The picture of a prediction shows the numbers that it is given."""

import numpy as np
import pytest

from hasnn_jax.analysis.prediction_plots import plot_prediction

PROBABILITIES = np.array([0.1, 0.6, 0.05, 0.25], np.float32)
CLASSES = ("a", "b", "c", "a class with a name that is far too long to be drawn")


def features(paths=("ann", "snn")):
    """Two blocks whose paths add 3 and 4 everywhere, and spike at time t with rate t / 8."""
    rates = np.arange(8)[:, None, None, None, None] / 8
    found = {}
    for block in ("block1", "head"):
        shape = (1, 4, 4, 2)
        found[block] = np.full(shape, 7.0)
        found |= {f"{block}/{path}": np.full(shape, value) for path, value in {"ann": 3.0, "snn": 4.0}.items()
                  if path in paths}  # fmt: skip
        if "snn" in paths:
            found[f"{block}/planes"] = np.ones((8, 1, 8, 8, 3))
            found[f"{block}/spikes"] = np.broadcast_to(rates, (8, *shape))
    return {**found, "logits": np.zeros((1, 4))}


def texts(axes):
    return [text.get_text() for text in axes.texts]


def axes_titled(figure, part):
    (axes,) = [axes for axes in figure.axes if part in axes.get_title()]
    return axes


@pytest.mark.parametrize("channels", [1, 3])
def test_image_planes_classes_rates_and_paths_are_drawn(channels):
    figure = plot_prediction(
        np.zeros((8, 8, channels), np.uint8), features(), PROBABILITIES, CLASSES, title="a model: a picture"
    )
    figure.draw_without_rendering()
    assert figure.get_suptitle() == "a model: a picture"
    assert [axes.get_title() for axes in figure.axes[1:9]] == [f"t = {t}" for t in range(8)]
    likeliest = axes_titled(figure, "probability")
    assert texts(likeliest) == ["60.0%", "25.0%", "10.0%", "5.0%"]
    labels = [label.get_text() for label in likeliest.get_yticklabels()]
    assert labels == ["b", "a class with a name t...", "a", "c"]
    rates = axes_titled(figure, "spike trains")
    assert texts(rates) == [f"{t / 8:.2f}" for t in range(8)] * 2
    assert texts(axes_titled(figure, "root mean square")) == ["3.00", "3.00", "4.00", "4.00"]


def test_a_pure_ann_is_drawn_without_planes_and_spikes():
    figure = plot_prediction(np.zeros((8, 8, 3)), features(("ann",)), PROBABILITIES, CLASSES)
    assert texts(axes_titled(figure, "spike trains")) == ["the model has no SNN path"]
    assert texts(axes_titled(figure, "root mean square")) == ["3.00", "3.00"]

"""The plot of a run shows its records."""

import numpy as np
import pytest
from PIL import Image

from hasnn_jax.analysis.curves import plot_curves

RECORDS = [
    {"step": 5, "epoch": 0.5, "split": "train", "loss": 2.0, "accuracy": 0.25},
    {"step": 10, "epoch": 1.0, "split": "train", "loss": 1.0, "accuracy": 0.5, "learning_rate": 0.1},
    {"step": 10, "epoch": 1.0, "split": "test", "loss": 1.5, "accuracy": 0.375},
    {"step": 20, "epoch": 2.0, "split": "train", "loss": 0.5, "accuracy": 0.75},
    {"step": 20, "epoch": 2.0, "split": "test", "loss": 1.25, "accuracy": 0.625},
]


def lines_of(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_the_curves_are_the_records(tmp_path, drawn):
    plot_curves(RECORDS, tmp_path / "curves.png", "a run")
    (figure,) = drawn
    loss, accuracy = figure.axes
    np.testing.assert_array_equal(lines_of(loss)["train"], [(0.5, 2.0), (1.0, 1.0), (2.0, 0.5)])
    np.testing.assert_array_equal(lines_of(loss)["test"], [(1.0, 1.5), (2.0, 1.25)])
    np.testing.assert_array_equal(lines_of(accuracy)["train"], [(0.5, 25), (1.0, 50), (2.0, 75)])
    np.testing.assert_array_equal(lines_of(accuracy)["test"], [(1.0, 37.5), (2.0, 62.5)])


def test_title_axes_and_splits_are_labelled(tmp_path, drawn):
    plot_curves(RECORDS, tmp_path / "curves.png", "has8_resnet10_b8 on digits")
    (figure,) = drawn
    loss, accuracy = figure.axes
    assert figure.get_suptitle() == "has8_resnet10_b8 on digits"
    assert [axes.get_xlabel() for axes in (loss, accuracy)] == ["epoch", "epoch"]
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("cross-entropy", "accuracy in %")
    assert (loss.get_yscale(), accuracy.get_yscale()) == ("log", "linear")
    for axes in (loss, accuracy):
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "test"]


def test_the_picture_is_a_png_whatever_the_file_is_called_and_replaces_an_older_one(tmp_path):
    path = tmp_path / ".curves.png.tmp"  # the name of the temporary file while the plot is written
    path.write_text("an older picture")
    plot_curves(RECORDS, path, "a run")
    with Image.open(path) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("L"))
    assert pixels.shape[1] > 800
    assert 0.005 < np.mean(pixels < 200) < 0.5  # the plot is neither empty nor black
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_records_may_come_one_by_one_from_a_generator(tmp_path, drawn):
    plot_curves((record for record in RECORDS), tmp_path / "curves.png", "a run")
    for axes in drawn[0].axes:
        assert lines_of(axes).keys() == {"train", "test"}


@pytest.mark.parametrize(
    "records",
    [[], RECORDS[:1], RECORDS[2:3], [{**RECORDS[0], "loss": 0.0}, RECORDS[1]]],
    ids=["none", "one of training", "one of testing", "one of them a loss of zero"],
)
def test_a_run_stopped_early_is_drawn_without_a_warning(tmp_path, records):
    plot_curves(records, tmp_path / "curves.png", "a run")
    assert (tmp_path / "curves.png").stat().st_size > 1000

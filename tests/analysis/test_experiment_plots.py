"""Curves of variants over seeds, and accuracy against cost."""

import numpy as np
import pytest

from hasnn_jax.analysis.experiment_plots import Curve, Point, plot_curves_of_variants, plot_tradeoff


def run(*accuracies, loss=1.0):
    return [
        {"split": split, "epoch": epoch, "loss": loss, "accuracy": accuracy}
        for epoch, accuracy in enumerate(accuracies, start=1)
        for split in ("train", "test")
    ]


def line_of(axes, name):
    return next(line for line in axes.lines if line.get_label() == name)


def test_a_line_is_the_mean_over_the_runs_and_a_band_reaches_from_least_to_most(tmp_path, drawn):
    plot_curves_of_variants([Curve("a", [run(0.2, 0.5), run(0.4, 0.6)])], tmp_path / "x.png", "title")
    _, accuracy = drawn[-1].axes

    np.testing.assert_allclose(line_of(accuracy, "a").get_xydata(), [(1, 30), (2, 55)])
    band = accuracy.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (20, 60)


def test_epochs_that_only_some_runs_have_are_left_out(tmp_path, drawn):
    plot_curves_of_variants([Curve("a", [run(0.2, 0.5, 0.6), run(0.4, 0.7)])], tmp_path / "x.png", "title")

    np.testing.assert_allclose(line_of(drawn[-1].axes[1], "a").get_xydata(), [(1, 30), (2, 60)])


def test_single_evaluations_are_rows_of_points_with_their_mean(tmp_path, drawn):
    curves = [Curve("a", [run(0.2), run(0.4)]), Curve("b", [run(0.7), run(0.7)])]
    plot_curves_of_variants(curves, tmp_path / "x.png", "title")
    _, accuracy = drawn[-1].axes

    places = [line.get_xydata().tolist() for line in accuracy.lines]
    np.testing.assert_allclose(np.concatenate(places), [(20, 0), (40, 0), (30, 0), (70, 1), (70, 1), (70, 1)])
    assert [label.get_text() for label in accuracy.get_yticklabels()] == ["a", "b"]
    assert accuracy.get_ylim() == (1.5, -0.5)  # in the order of the table, downwards


def test_a_single_evaluation_beside_curves_is_seen_with_its_spread(tmp_path, drawn):
    curves = [Curve("a", [run(0.2), run(0.4)]), Curve("b", [run(0.7, 0.8)])]
    plot_curves_of_variants(curves, tmp_path / "x.png", "title")
    _, accuracy = drawn[-1].axes

    assert line_of(accuracy, "a").get_marker() == "."
    np.testing.assert_allclose(accuracy.collections[0].get_segments(), [[(1, 20), (1, 40)]])


@pytest.mark.parametrize("curves", [[], [Curve("a", [])]])
def test_a_figure_without_runs_has_empty_panels(curves, tmp_path, drawn):
    plot_curves_of_variants(curves, tmp_path / "x.png", "title")

    assert [axes.get_ylabel() for axes in drawn[-1].axes] == ["training loss", "test accuracy in %"]


def test_a_last_loss_over_few_steps_is_left_out(tmp_path, drawn):
    losses = [{"split": "train", "epoch": epoch, "loss": epoch} for epoch in (0.3, 0.6, 0.9, 1.0)]
    whole = [{"split": "train", "epoch": epoch, "loss": epoch} for epoch in (0.3, 0.6, 0.9)]
    plot_curves_of_variants([Curve("a", [losses]), Curve("b", [whole])], tmp_path / "x.png", "title")

    for name in ("a", "b"):
        np.testing.assert_allclose(line_of(drawn[-1].axes[0], name).get_xdata(), [0.3, 0.6, 0.9])


def test_accuracy_is_drawn_against_every_cost(tmp_path, drawn):
    points = [Point("a", 0.5, 0.02, {"size": 10, "time": 3}), Point("b", 0.6, None, {"size": 20, "time": 5})]
    plot_tradeoff(points, tmp_path / "x.png", "title")

    assert [axes.get_xlabel() for axes in drawn[-1].axes] == ["size", "time"]
    for axes, cost in zip(drawn[-1].axes, ("size", "time"), strict=True):
        places = [container.lines[0].get_xydata()[0] for container in axes.containers]
        np.testing.assert_allclose(places, [(points[0].costs[cost], 50), (points[1].costs[cost], 60)])

"""Plots of several variants over several seeds: their curves, and accuracy against what it costs."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Curve:
    """A variant's runs.

    Attributes:
      name: of the variant.
      runs: the records of each run's `metrics.jsonl`: "epoch", "split", "loss" and "accuracy" in [0, 1].
    """

    name: str
    runs: Sequence[Sequence[Mapping[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Point:
    """A variant's accuracy and costs.

    Attributes:
      name: of the variant.
      accuracy: mean over seeds, 0..1.
      deviation: its standard deviation; None for a single seed.
      costs: by the label of their axis; each is above 0.
    """

    name: str
    accuracy: float
    deviation: float | None
    costs: Mapping[str, float]


def plot_curves_of_variants(curves: Sequence[Curve], path: pathlib.Path, title: str) -> None:
    """Training loss and test accuracy over epochs: a line for the mean of each variant, a band from least to most.

    Accuracies of runs with a single evaluation are points instead, a row for each variant.

    Args:
      curves: of the variants; epochs that only some of a variant's runs have are left out.
      path: of the PNG; an existing file is replaced.
      title: of the figure.
    """
    from matplotlib.figure import Figure

    losses = [_whole_windows(_by_epoch(curve, "train", "loss")) for curve in curves]
    accuracies = [_by_epoch(curve, "test", "accuracy") for curve in curves]
    figure = Figure(figsize=(11, 4.2 + 0.12 * len(curves)), layout="constrained")
    figure.suptitle(title)
    of_losses, of_accuracies = figure.subplots(1, 2)
    _draw_bands(of_losses, curves, losses)
    of_losses.set(xlabel="epoch", ylabel="training loss")
    if any(accuracies) and all(len(values) <= 1 for values in accuracies):
        _draw_rows(of_accuracies, curves, accuracies)
        of_accuracies.set(xlabel="test accuracy in %: seeds, and their mean as a bar")
    else:
        _draw_bands(of_accuracies, curves, accuracies)
        of_accuracies.set(xlabel="epoch", ylabel="test accuracy in %")
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    if curves:
        figure.legend(*of_losses.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=120, format="png")


def _by_epoch(curve: Curve, split: str, metric: str) -> dict[float, list[float]]:
    """Epoch -> the values of all runs, in the order of epochs; accuracies in %."""
    scale = 100 if metric == "accuracy" else 1
    values: dict[float, list[float]] = {}
    for run in curve.runs:
        for record in run:
            if record["split"] == split:
                values.setdefault(record["epoch"], []).append(scale * record[metric])
    return {epoch: each for epoch, each in sorted(values.items()) if len(each) == len(curve.runs)}


def _whole_windows(losses: dict[float, list[float]]) -> dict[float, list[float]]:
    """Without a last loss that is the mean over fewer steps than half of the others, and so noisier than they are."""
    epochs = list(losses)
    if len(epochs) > 2 and epochs[-1] - epochs[-2] < (epochs[1] - epochs[0]) / 2:
        return {epoch: losses[epoch] for epoch in epochs[:-1]}
    return losses


def _style(number: int) -> dict[str, str]:
    """Of a variant's line: ten colours, then the same with other dashes."""
    return {"color": f"C{number % 10}", "ls": ("-", "--", ":")[number // 10 % 3]}


def _draw_bands(axes: Any, curves: Sequence[Curve], values: Sequence[Mapping[float, list[float]]]) -> None:
    for number, (curve, shared) in enumerate(zip(curves, values, strict=True)):
        if not shared:
            continue
        style, epochs = _style(number), list(shared)
        marker = "." if len(epochs) == 1 else ""  # a line of one point is not seen
        axes.plot(epochs, [sum(each) / len(each) for each in shared.values()], label=curve.name, marker=marker, **style)
        low, high = ([end(each) for each in shared.values()] for end in (min, max))
        if len(epochs) > 1:
            axes.fill_between(epochs, low, high, color=style["color"], alpha=0.12, lw=0)
        else:
            axes.vlines(epochs, low, high, color=style["color"], alpha=0.5)


def _draw_rows(axes: Any, curves: Sequence[Curve], values: Sequence[Mapping[float, list[float]]]) -> None:
    for number, shared in enumerate(values):
        for each in shared.values():
            color = _style(number)["color"]
            axes.plot(each, [number] * len(each), ls="", marker="o", mfc="none", color=color)
            axes.plot([sum(each) / len(each)], [number], ls="", marker="|", ms=16, mew=2.5, color=color)
    axes.set_yticks(range(len(curves)), [curve.name for curve in curves])
    axes.set_ylim(len(curves) - 0.5, -0.5)


def plot_tradeoff(points: Sequence[Point], path: pathlib.Path, title: str) -> None:
    """Accuracy against each cost, a panel for each, on logarithmic axes.

    Args:
      points: of the variants, all with the same costs.
      path: of the PNG; an existing file is replaced.
      title: of the figure.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    short = EngFormatter(sep="")
    labels = list(points[0].costs) if points else ["cost"]
    figure = Figure(figsize=(10, 3.4 * -(-len(labels) // 2)), layout="constrained")
    figure.suptitle(title)
    for axes, label in zip(figure.subplots(-(-len(labels) // 2), 2, squeeze=False).flat, labels, strict=False):
        for number, point in enumerate(points):
            spread = None if point.deviation is None else 100 * point.deviation
            axes.errorbar(
                point.costs[label], 100 * point.accuracy, spread, fmt="o", color=f"C{number % 10}", label=point.name
            )
        axes.set(xscale="log", xlabel=label, ylabel="test accuracy in %")
        axes.xaxis.set_major_formatter(short)
        axes.xaxis.set_minor_formatter(lambda value, _: short(value) if f"{value:e}"[0] in "257" else "")
        axes.grid(alpha=0.3, which="both")
    if points:
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=min(5, len(points))
        )
    figure.savefig(path, dpi=120, format="png")

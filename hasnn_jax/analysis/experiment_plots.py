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

    Args:
      curves: of the variants; epochs that only some of a variant's runs have are left out.
      path: of the PNG; an existing file is replaced.
      title: of the figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2 + 0.12 * len(curves)), layout="constrained")
    figure.suptitle(title)
    panels = (("train", "loss", 1, "training loss"), ("test", "accuracy", 100, "test accuracy in %"))
    for axes, (split, metric, scale, label) in zip(figure.subplots(1, 2), panels, strict=True):
        for number, curve in enumerate(curves):
            values: dict[float, list[float]] = {}
            for run in curve.runs:
                for record in run:
                    if record["split"] == split:
                        values.setdefault(record["epoch"], []).append(scale * record[metric])
            shared = sorted((epoch, each) for epoch, each in values.items() if len(each) == len(curve.runs))
            if not shared:
                continue
            epochs = [epoch for epoch, _ in shared]
            style = {"color": f"C{number % 10}", "ls": ("-", "--", ":")[number // 10 % 3]}
            marker = "." if split == "test" else ""  # which alone is seen of a run with one evaluation
            axes.plot(epochs, [sum(each) / len(each) for _, each in shared], label=curve.name, marker=marker, **style)
            low, high = ([end(each) for _, each in shared] for end in (min, max))
            if len(epochs) > 1:
                axes.fill_between(epochs, low, high, color=style["color"], alpha=0.12, lw=0)
            else:
                axes.vlines(epochs, low, high, color=style["color"], alpha=0.5)
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.3)
    if curves:
        figure.legend(*figure.axes[1].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=120, format="png")


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

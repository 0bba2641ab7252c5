"""Plots loss and accuracy of a run."""

import pathlib
from collections.abc import Iterable
from typing import Any


def plot_curves(records: Iterable[dict[str, Any]], path: pathlib.Path, title: str) -> None:
    """Plots loss and accuracy of training and test over epochs, and saves the figure as a PNG.

    Args:
      records: as read from `metrics.jsonl`: "epoch", "split" ("train" or "test"), "loss" and "accuracy" in [0, 1].
      path: of the PNG, with any suffix; an existing file is replaced.
      title: of the figure.
    """
    from matplotlib.figure import Figure

    records = list(records)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.suptitle(title)
    for axes, (name, scale, label) in zip(
        figure.subplots(1, 2), (("loss", 1, "cross-entropy"), ("accuracy", 100, "accuracy in %")), strict=True
    ):
        for split, style in (("train", {"color": "0.6", "lw": 1}), ("test", {"color": "C0", "lw": 2, "marker": "."})):
            points = [(r["epoch"], scale * r[name]) for r in records if r["split"] == split]
            if points:
                axes.plot(*zip(*points, strict=True), label=split, **style)
        axes.set(xlabel="epoch", ylabel=label)
        if name == "loss":
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.4g}")
            axes.yaxis.set_minor_formatter(lambda value, _: f"{value:.4g}" if f"{value:e}"[0] in "25" else "")
        axes.grid(alpha=0.3, which="both")
        if axes.lines:
            axes.legend(loc="upper right" if name == "loss" else "lower right")
    figure.savefig(path, dpi=130, format="png")

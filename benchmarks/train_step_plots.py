"""Figures of what `train_step.py` has measured, from the stored numbers alone."""

import pathlib
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

MIB = 2**20
COLOURS = {
    "port": "tab:blue",
    "twin": "tab:orange",
    "twin in channels_last": "tab:red",
    "twin with torch.compile": "tab:brown",
}
TITLES = {"step": "training step, ms", "evaluation": "evaluation, ms"}


def draw(numbers: Mapping[str, Any], path: pathlib.Path) -> None:
    """Draws what was measured, and saves it as a PNG."""
    figure = _draw_sweep(numbers) if "sweep" in numbers else _draw_comparison(numbers)
    figure.savefig(path, dpi=120, format="png")


def _draw_comparison(numbers: Mapping[str, Any]) -> Figure:
    """A row of bars for each case: time of a step, time of an evaluation, memory; shorter is better in all three."""
    cases = numbers["cases"]
    lines = sum(len(case["rows"]) for case in cases)
    figure = Figure(figsize=(13, 1.1 * len(cases) + 0.32 * lines + 0.5), layout="constrained")
    heights = [len(case["rows"]) + 1 for case in cases]
    # Subfigures, because a long name over one of three axes would widen that.
    parts = figure.subfigures(len(cases), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, case in zip(parts, cases, strict=True):
        row = part.subplots(1, 3)
        names = [entry["name"] for entry in case["rows"]]
        for axes, work in zip(row, TITLES, strict=False):
            timed = [entry.get(work) for entry in case["rows"]]
            spreads = [t and tuple(1e3 * t[name] for name in ("lower", "median", "upper")) for t in timed]
            _bars(axes, names, spreads, [_time_label(t) for t in timed])
            axes.set_title(TITLES[work], fontsize=10)
        added = [entry["memory"].get("growth", entry["memory"].get("peak")) for entry in case["rows"]]
        labels = [f"{a / MIB:,.0f} MiB" if a else "not measured" for a in added]
        _bars(row[2], names, [a and (a / MIB,) * 3 for a in added], labels)
        grows = any("growth" in entry["memory"] for entry in case["rows"])
        row[2].set_title("memory that a step adds, MiB" if grows else "peak memory of training, MiB", fontsize=10)
        for axes in row[1:]:
            axes.tick_params(labelleft=False)
        part.suptitle(case["name"], fontsize=11, weight="bold")
    machine = numbers["machine"]
    figure.supxlabel(
        f"Medians of {numbers['rounds']} interleaved rounds, and quartiles (dark lines). {machine['device']}, "
        f"{machine['processor']}, {machine['cores']} cores; {machine['commit']}, {machine['date']}",
        fontsize=9,
    )
    return figure


def _time_label(timed: Mapping[str, Any] | None) -> str:
    if not timed:
        return "does not run"
    return f"{1e3 * timed['median']:,.4g} ms, {speed(timed)}"


def speed(timed: Mapping[str, Any]) -> str:
    """Images/s, with three digits or more."""
    rate = timed["images_per_second"]
    return f"{rate:,.0f} images/s" if rate >= 100 else f"{rate:.3g} images/s"


def _bars(axes: Axes, names: list[str], spreads: list[tuple[float, ...] | None], labels: list[str]) -> None:
    """Horizontal bars from top to bottom with their quartiles and labels; None has only its label."""
    for place, (name, spread, label) in enumerate(zip(names, spreads, labels, strict=True)):
        lower, median, upper = spread or (0, 0, 0)
        axes.barh(place, median, color=COLOURS[name], height=0.7)
        axes.plot([lower, upper], [place, place], color="0.2", linewidth=1.5)
        axes.annotate(label, (upper, place), (6, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.7 * max((spread[-1] for spread in spreads if spread), default=1))  # room for the labels
    axes.spines[["top", "right"]].set_visible(False)


def _draw_sweep(numbers: Mapping[str, Any]) -> Figure:
    """Time and memory of a step against batch and planes, with the straight lines through them."""
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    kinds = {"step": ("training step, ms", 1e-3), "memory": ("temporary memory, MiB", MIB)}
    for row, (kind, (label, unit)) in zip(figure.subplots(2, 2), kinds.items(), strict=True):
        for axes, (axis, points) in zip(row, numbers["sweep"].items(), strict=True):
            line, values = points[kind]["line"], points["values"]
            ends = [0, max(values)]
            axes.plot(
                ends,
                [(line["intercept"] + line["slope"] * x) / unit for x in ends],
                color="0.6",
                label=f"line: deviates by up to {line['largest_deviation']:.0%}, R² = {line['r_squared']:.4f}",
            )
            if kind == "step":
                spread = [[q["lower"] / unit, q["upper"] / unit] for q in points[kind]["quartiles"]]
                axes.vlines(values, *zip(*spread, strict=True), color="tab:blue", linewidth=4, alpha=0.4)
            costs = [cost / unit for cost in points[kind]["medians" if kind == "step" else "sizes"]]
            axes.plot(values, costs, "o", color="tab:blue", label="median, and quartiles" if kind == "step" else None)
            axes.set(xlabel={"batch": "images in a batch", "planes": "planes kept"}[axis], ylabel=label)
            axes.set_xlim(left=0)
            axes.set_ylim(bottom=0)
            axes.set_xticks(values)
            axes.legend(frameon=False, fontsize=9, loc="upper left")
            axes.spines[["top", "right"]].set_visible(False)
    machine = numbers["machine"]
    figure.suptitle(f"{numbers['name']}; {machine['device']}, {machine['processor']}", fontsize=10)
    return figure

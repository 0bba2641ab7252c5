"""A report as a picture. It is drawn without a window, and matplotlib is imported only when it is drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hasnn_jax.analysis.activity import Spikes
from hasnn_jax.analysis.report import Report
from hasnn_jax.analysis.report_text import MICROJOULE, PATH_NAMES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"dense": "#d1d5db", "macs": "#0072b2", "acs": "#d55e00"}  # Okabe & Ito: colour-blind safe
PATH_COLOURS = {"ann": "#0072b2", "snn": "#d55e00", "shared": "#009e73"}
ROW = 0.2  # inches for a row of a panel
SMALL: dict[str, Any] = {"labelsize": 7}


def plot_report(report: Report, title: str = "") -> "Figure":
    """Draws operations of the layers, spike rates, gradients of the planes, and the energy estimates.

    Args:
      report: of `analyse`. Panels for which it has nothing, such as spikes of a model without a spiking path, are
        left out.
      title: of the figure.

    Returns:
      A figure; write it with `figure.savefig(path, dpi=130, format="png")`.
    """
    from matplotlib.figure import Figure

    spiking = bool(report.activity.neurons)
    rows = max(len(report.cost.layers), len(report.activity.neurons) + len(report.activity.encoders) + 4, 12)
    figure = Figure(figsize=(15 if spiking else 8, 1.4 + ROW * rows + 3.2), layout="constrained", facecolor="white")
    figure.suptitle(title)
    (upper,), (lower,) = figure.subfigures(2, 1, squeeze=False, height_ratios=(0.8 + ROW * rows, 3.6))
    columns = upper.subfigures(1, 2, width_ratios=(1.15, 1)) if spiking else [upper]
    _draw_operations(columns[0].subplots(), report)
    if spiking:
        counts = len(report.activity.neurons), len(report.activity.encoders)
        neurons, encoders = columns[1].subplots(2, 1, height_ratios=[count + 2 for count in counts])
        _draw_rates(neurons, report.activity.neurons, "spike rate of the neurons after each layer, %")
        _draw_rates(encoders, report.activity.encoders, "spike rate of the encoders, %")
    below = lower.subplots(1, 3 if report.gradients else 1, squeeze=False)[0]
    _draw_energy(below[0], report)
    if report.gradients:
        _draw_gradients(below[1:], report)
    return figure


def _draw_operations(axes: "Axes", report: Report) -> None:
    from matplotlib.ticker import EngFormatter

    names = [layer.name for layer in report.cost.layers]
    images, y = report.activity.images, np.arange(len(names))
    counted = [report.activity.layers[name] for name in names]
    bars: dict[str, list[float]] = {
        "dense": [layer.macs for layer in report.cost.layers],
        "macs": [sum(each.macs) / images for each in counted],
        "acs": [sum(each.acs) / images for each in counted],
    }
    labels = {"dense": "dense MACs, all steps", "macs": "effective MACs", "acs": "effective ACs"}
    axes.barh(y, bars["dense"], height=0.8, color=COLOURS["dense"], label=labels["dense"])
    axes.barh(y, bars["macs"], height=0.45, color=COLOURS["macs"], label=labels["macs"])
    axes.barh(y, bars["acs"], height=0.45, left=bars["macs"], color=COLOURS["acs"], label=labels["acs"])
    _name_rows(axes, names)
    for row, (dense, macs, acs) in enumerate(zip(*bars.values(), strict=True)):
        axes.text(dense, row, f" {100 * (macs + acs) / dense:.0f} %", va="center", fontsize=6)
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.set_title("operations of each layer for one image, and effective ones in % of the dense", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.06 - 0.6 / len(names)), ncols=3, frameon=False)


def _draw_rates(axes: "Axes", spikes: dict[str, Spikes], title: str) -> None:
    rates = 100 * np.array([each.rates for each in spikes.values()])
    _draw_heatmap(axes, rates, [f"{rate:.0f}" for rate in rates.ravel()], "Oranges", (0, 100))
    _name_rows(axes, list(spikes), [_extremes(each) for each in spikes.values()])
    axes.set_xticks(range(rates.shape[1]), [f"t={t}" for t in range(rates.shape[1])])
    axes.set_title(title, fontsize=9)


def _extremes(spikes: Spikes) -> str:
    """The shares that never and always fire, in percent."""
    return f"never {100 * spikes.dead / spikes.size:.0f}, always {100 * spikes.saturated / spikes.size:.0f}"


def _draw_energy(axes: "Axes", report: Report) -> None:
    bars = ("arithmetic", "with_movement", "quantised", "quantised_with_movement")
    labels = ("arithmetic\nalone", "with data\nmovement", "8-bit dense:\narithmetic", "8-bit dense:\nwith movement")
    paths = report.paths()
    energies = [report.totals(path).energy for path in paths]
    width = 0.8 / len(paths)
    for i, (path, energy) in enumerate(zip(paths, energies, strict=True)):
        heights = [getattr(energy, bar) / MICROJOULE for bar in bars]
        x = np.arange(len(bars)) + (i - (len(paths) - 1) / 2) * width
        axes.bar(x, heights, width, color=PATH_COLOURS[path], label=PATH_NAMES[path])
    axes.set_yscale("log")
    axes.set_xticks(range(len(bars)), labels)
    axes.tick_params(**SMALL)
    axes.set_ylabel("$\\mu$J for one image", fontsize=8)
    axes.set_title("estimated energy, 45 nm", fontsize=9, pad=22)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderpad=0)


def _draw_gradients(panels: Sequence["Axes"], report: Report) -> None:
    names = [each.name for each in report.gradients]
    planes = report.gradients[0].planes
    titles = "before rescaling", "after rescaling"
    sizes = [np.array([getattr(each, when) for each in report.gradients]) for when in ("before", "after")]
    logs = [np.log10(np.where(size > 0, size, np.nan)) for size in sizes]
    known = np.concatenate([log[np.isfinite(log)] for log in logs])
    limits = (known.min(), known.max() + 1e-9) if known.size else (0, 1)
    for axes, log, title in zip(panels, logs, titles, strict=True):
        texts = [f"{value:.1f}" if np.isfinite(value) else "none" for value in log.ravel()]
        _draw_heatmap(axes, log, texts, "Blues", limits)
        _name_rows(axes, names)
        axes.set_xticks(range(len(planes)), [f"k={plane}" for plane in planes])
        axes.set_title(f"log10 of each plane's gradient, {title}", fontsize=9)
    panels[1].set_yticks([])


def _draw_heatmap(axes: "Axes", values: np.ndarray, texts: list[str], cmap: str, limits: tuple[float, float]) -> None:
    low, high = limits
    axes.imshow(values, cmap=cmap, vmin=low, vmax=high, aspect="auto", interpolation="nearest")
    dark = np.nan_to_num((values - low) / (high - low)) > 0.6
    for (row, column), text in zip(np.ndindex(values.shape), texts, strict=True):
        colour = "white" if dark[row, column] else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=6, color=colour)
    axes.spines[:].set_visible(False)


def _name_rows(axes: "Axes", names: list[str], right: list[str] | None = None) -> None:
    """Names the rows from above, and adds notes on the right."""
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0 if right else 3, **SMALL)
    if right:
        for row, note in enumerate(right):
            axes.text(1.01, row, note, transform=axes.get_yaxis_transform(), va="center", fontsize=6)

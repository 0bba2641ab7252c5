"""Plots of spiking neurons over time: the currents that they receive, their membranes and their spikes.

Currents are those of `hasnn_jax.inference.loaded_model.LoadedModel.features` with `layers=True`; membranes and spikes
follow from them. Membranes are drawn before the reset, so that a spike is where one has reached the threshold.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from hasnn_jax import core

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"current": "#9ca3af", "membrane": "#0072b2", "spike": "#d55e00"}
TILE = 1.3  # inches
WITHIN_SCALE = 0.99  # share of the values within the colour scale of a map
ROWS = ("current", "membrane", "spikes")


def membranes(currents: ArrayLike, neuron: core.Neuron) -> tuple[np.ndarray, np.ndarray]:
    """Runs neurons: `currents` [T, ...], floating -> (membranes before the reset, spikes of 0 and 1), both [T, ...]."""
    _, reached, spikes = _trace(currents, neuron)
    return reached, spikes


def plot_neurons(currents: ArrayLike, neuron: core.Neuron, names: Sequence[str]) -> "Figure":
    """Draws single neurons over time.

    Args:
      currents: floating [T, N], in the units of the neuron's threshold.
      neuron: how they charge, fire and reset.
      names: N titles.

    Returns:
      A figure with N axes: the current as bars, the membrane as a line that falls where the neuron is reset, the
      threshold, and a triangle above each spike.
    """
    from matplotlib.figure import Figure

    currents = np.asarray(currents, np.float32)
    left, reached, spikes = _trace(currents, neuron)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.6 * columns, 0.5 + 2.3 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for i, (panel, name) in enumerate(zip(axes.flat, names, strict=False)):
        _draw_neuron(panel, currents[:, i], left[:, i], reached[:, i], spikes[:, i], neuron.threshold)
        panel.set_title(name, fontsize=10)
    for panel in axes.flat[len(names) :]:
        panel.set_axis_off()
    for panel in axes[-1]:
        panel.set_xlabel("time step $t$")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def plot_spike_maps(currents: ArrayLike, neuron: core.Neuron, title: str = "") -> "Figure":
    """Draws one channel of a spiking layer as maps: a column for each time step.

    Args:
      currents: floating [T, H, W], in the units of the neuron's threshold.
      neuron: how they charge, fire and reset.
      title: of the figure.

    Returns:
      A figure with 3 T axes, row by row, and two colour bars, which leave out the largest hundredth: currents,
      membranes before the reset, spikes.
    """
    from matplotlib.figure import Figure

    currents = np.asarray(currents, np.float32)
    before, spikes = membranes(currents, neuron)
    steps, height, width = currents.shape
    figure = Figure(figsize=(TILE * steps + 1.2, 0.6 + 3 * TILE * min(1.5, height / width)), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(3, steps, squeeze=False)
    for row, (name, maps) in enumerate(zip(ROWS, (currents, before, spikes), strict=True)):
        limit = float(np.quantile(np.abs(maps), WITHIN_SCALE)) or 1.0
        low, high, cmap = (0.0, 1.0, "gray_r") if name == "spikes" else (-limit, limit, "RdBu_r")
        for t, panel in enumerate(axes[row]):
            drawn = panel.imshow(maps[t], cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
            panel.set(xticks=[], yticks=[])
            if row == 0:
                panel.set_title(f"t = {t}", fontsize=10)
        axes[row, 0].set_ylabel(name)
        if name != "spikes":
            figure.colorbar(drawn, ax=list(axes[row]), shrink=0.9, aspect=12, pad=0.01)
    return figure


def _trace(currents: ArrayLike, neuron: core.Neuron) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each step begins with, the membrane that it reaches before the reset, and its spikes."""
    received = jnp.asarray(currents)
    spikes, after = neuron.trace(received)
    left = jnp.concatenate([jnp.zeros_like(after[:1]), after[:-1]])  # from the rest at 0
    return np.asarray(left), np.asarray(neuron.charge(left, received)), np.asarray(spikes)


def _draw_neuron(
    axes: "Axes", current: np.ndarray, left: np.ndarray, reached: np.ndarray, spikes: np.ndarray, threshold: float
) -> None:
    steps = np.arange(len(current))
    axes.bar(steps, current, width=0.5, color=COLOURS["current"], label="current")
    rising = np.stack([left, reached], axis=1).ravel()
    axes.plot(
        np.repeat(steps, 2) + np.tile([-0.5, 0.45], len(steps)), rising, color=COLOURS["membrane"], label="membrane"
    )
    axes.axhline(threshold, color="black", lw=0.8, ls=":", label="threshold")
    axes.axhline(0, color="black", lw=0.6)
    fired = steps[spikes > 0]
    axes.plot(fired + 0.45, reached[fired], "^", color=COLOURS["spike"], ms=7, label="spike")
    axes.set_xticks(steps)
    axes.spines[["top", "right"]].set_visible(False)

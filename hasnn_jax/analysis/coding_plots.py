"""Plots of bit-plane coding: the planes of an image, and the waves and gradients of the surrogates.

The coding is that of the paper (arXiv 2509.24411): plane k of a value x in 0..255 is B_k(x) = floor(x / 2^k) mod 2,
plane 7 is the most significant and comes first, and the surrogate gradient of plane k is multiplied by
F_k = k / 2^(7-k). Every function here returns a matplotlib `Figure` without a window: make it the result of a
notebook cell, or call its `savefig`. No function writes a file, and matplotlib is imported only when a plot is drawn.
"""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from hasnn_jax import core

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HIGHEST_PLANE = 7
SAMPLES = 1021  # 4 samples per grey level over 0..255, and more over shorter ranges, so that every wave is smooth

SPIKES = ("#14213d", "#fdc57b")  # no spike, spike
EXACT = {"color": "#374151", "fill": "#fdecd0"}  # edge, fill
LEGEND: dict[str, Any] = {"borderpad": 0.2, "columnspacing": 1.5, "handlelength": 1.4, "handletextpad": 0.5}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe & Ito: colour-blind safe


def plot_planes(image: ArrayLike, coding: core.BitPlaneCoding) -> "Figure":
    """Draws an image and its bit planes, row by row in the order of the time steps.

    Args:
      image: [H, W], [H, W, 1] or [H, W, 3]; floating in [0, 1], or uint8 in 0..255. The planes of a colour image
        are those of its three channels, drawn as red, green and blue.
      coding: how many planes, and in which order. A "fractional" lowest plane, in [0, 2), is drawn at half its values.

    Returns:
      A figure with `1 + coding.planes` axes: the image, then the spikes of t = 0, 1, ...

    Raises:
      ValueError: the image has another shape, or values outside [0, 1].
      TypeError: the image is neither floating nor uint8.
    """
    from matplotlib.figure import Figure

    image = _unit_image(image)
    columns = -(-coding.planes // 2)
    figure = Figure(
        figsize=(1.7 * (columns + 2), 3.9 * min(1.2, image.shape[0] / image.shape[1])), layout="constrained"
    )
    grid = figure.add_gridspec(2, columns + 2)
    _draw_image(figure.add_subplot(grid[:, :2]), image, "image")
    tiles = [figure.add_subplot(grid[t // columns, 2 + t % columns]) for t in range(coding.planes)]
    _draw_planes(tiles, image, coding)
    return figure


def plot_surrogates(
    surrogates: Sequence[core.Surrogate],
    planes: Sequence[int] = (7, 5, 3),
    rescaling: core.GradientRescaling = core.order_aware_rescaling,
) -> "Figure":
    """Compares surrogates: their waves over the exact planes, and their derivatives before and after rescaling.

    There is one column for each plane k. Top row: the exact square wave B_k, filled, and the smooth `wave` of each
    surrogate. Middle row: the derivatives s_k(x) without rescaling. Bottom row: F_k s_k(x), which the backward pass
    uses. The columns of a row share their y scale. Each column shows two periods of its plane, 4 * 2^k grey levels
    (all of 0..255 for planes 6 and 7), so the x scales differ.

    Args:
      surrogates: one or more.
      planes: one or more planes, each in 0..7; plane 7 is the most significant.
      rescaling: maps a plane k to F_k; the paper's by default.

    Returns:
      A figure with 3 * len(planes) axes, row by row.

    Raises:
      ValueError: there is no surrogate or no plane, or a plane is not in 0..7.
    """
    from matplotlib.figure import Figure

    if not surrogates or not planes:
        raise ValueError("expected at least one surrogate and one plane")
    for plane in planes:
        _require_plane(plane)
    figure = Figure(figsize=(max(6.0, 3.7 * len(planes)), 6.6), layout="constrained")
    axes = figure.subplots(3, len(planes), sharex="col", sharey="row", squeeze=False)
    for column, plane in zip(axes.T, planes, strict=True):
        x = _two_periods(plane)
        _draw_exact_plane(column[0], x, plane, "exact plane")
        for surrogate, colour in zip(surrogates, itertools.cycle(COLOURS), strict=False):
            drawn = {"color": colour, "lw": 1.6, "label": repr(surrogate)}
            for panel, curve in zip(column, _curves(surrogate, x, plane, rescaling), strict=True):
                panel.plot(x, curve, **drawn)
        column[0].set_title(f"plane {plane}: period {2 * 2**plane}, $F_{plane}$ = {rescaling(plane):.4g}")
        column[2].set_xlabel("value $x$ (grey levels)")
        for panel in column:
            _tidy(panel, x)
    for panel, label in zip(
        axes[:, 0], ("plane and wave", "$s_k(x)$\nper grey level", "$F_k\\,s_k(x)$\nper grey level"), strict=True
    ):
        panel.set_ylabel(label)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=min(4, 1 + len(surrogates)),
        frameon=False,
    )  # fmt: skip
    return figure


def overview(
    image: ArrayLike,
    surrogate: core.Surrogate,
    plane: int = 4,
    rescaling: core.GradientRescaling = core.order_aware_rescaling,
) -> "Figure":
    """Draws the whole coding in one wide figure: the forward pass in the upper half, the backward pass in the lower.

    Upper half: the image and its eight planes, most significant first. Lower left: one exact plane and the smooth
    wave that replaces it. Lower right: the derivative of this wave, before and after rescaling.

    Args:
      image: as for `plot_planes`.
      surrogate: its wave and derivative are drawn.
      plane: the plane in the lower half, in 0..7; plane 7 is the most significant.
      rescaling: maps a plane k to F_k; the paper's by default.

    Returns:
      A figure with 11 axes: the image, the planes of t = 0..7, the wave, the derivative.

    Raises:
      ValueError: as for `plot_planes`, or the plane is not in 0..7.
      TypeError: as for `plot_planes`.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    image = _unit_image(image)
    _require_plane(plane)
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(12, 7.4), layout=layout, facecolor="white")
    (upper,), (lower,) = figure.subfigures(2, 1, squeeze=False, height_ratios=(4.4, 3))
    grid = upper.add_gridspec(2, 5, width_ratios=[2.2, 1, 1, 1, 1])
    _draw_image(upper.add_subplot(grid[:, 0]), image, "image")
    tiles = [upper.add_subplot(grid[t // 4, 1 + t % 4]) for t in range(8)]
    coding = core.BitPlaneCoding(surrogate=surrogate)
    _draw_planes(tiles, image, coding)
    _mark(tiles[coding.time_of(plane)])
    wave, gradient = lower.subplots(1, 2)

    x = _two_periods(plane)
    _draw_exact_plane(wave, x, plane, f"forward: exact plane {plane}")
    smooth, derivative, rescaled = _curves(surrogate, x, plane, rescaling)
    wave.plot(x, smooth, color=COLOURS[0], lw=2.2, label=f"backward: {type(surrogate).__name__}")
    wave.set_ylabel("spike")
    gradient.plot(x, derivative, color=COLOURS[0], lw=1.6, label=f"its gradient, $s_{plane}$")
    label = f"rescaled by $F_{plane}$ = {rescaling(plane):.4g}"
    gradient.plot(x, rescaled, color=COLOURS[1], lw=2.2, label=label)
    gradient.set_ylabel("gradient per grey level")
    for panel in (wave, gradient):
        _tidy(panel, x)
        panel.set_xlabel("value $x$ (grey levels)")
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, **LEGEND)
    return figure


def _two_periods(plane: int) -> np.ndarray:
    """Values float32 [SAMPLES] over two periods of a plane, 4 * 2^plane grey levels, but at most over 0..255."""
    return np.linspace(0, min(255, 4 * 2**plane), SAMPLES, dtype=np.float32)


def _curves(
    surrogate: core.Surrogate, x: np.ndarray, plane: int, rescaling: core.GradientRescaling
) -> list[np.ndarray]:
    """One plane's wave, derivative and rescaled derivative at `x`, each in the shape of `x`."""
    values = jnp.asarray(x)
    of_all_planes = surrogate.wave(values), surrogate.derivative(values), surrogate.derivative(values, rescaling)
    return [np.asarray(curves)[plane] for curves in of_all_planes]


def _unit_image(image: ArrayLike) -> np.ndarray:
    """The image as float32 [H, W] or [H, W, 3] in [0, 1]."""
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] == 3)) or array.size == 0:
        raise ValueError(f"image: expected shape [H, W], [H, W, 1] or [H, W, 3], got {np.shape(image)}")
    if array.dtype == np.uint8:
        return array.astype(np.float32) / 255
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"image: expected a floating dtype or uint8, got {array.dtype}")
    array = array.astype(np.float32)
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError(f"image: expected values in [0, 1], got {array.min():g} to {array.max():g}")
    return array


def _require_plane(plane: int) -> None:
    if plane not in range(HIGHEST_PLANE + 1):
        raise ValueError(f"plane: expected a whole number from 0 to {HIGHEST_PLANE}, got {plane!r}")


def _draw_image(axes: "Axes", values: np.ndarray, title: str, cmap: Any = "gray") -> None:
    axes.imshow(values, cmap=cmap, vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="#9ca3af", linewidth=0.6)


def _draw_planes(tiles: Sequence["Axes"], image: np.ndarray, coding: core.BitPlaneCoding) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    two_tone = LinearSegmentedColormap.from_list("spikes", SPIKES)
    spikes = np.asarray(core.encode(jnp.asarray(image)[None], coding))[:, 0]  # [T, H, W] or [T, H, W, 3]
    plane_at = {coding.time_of(plane): plane for plane in range(HIGHEST_PLANE, HIGHEST_PLANE - coding.planes, -1)}
    for t, (axes, spiked) in enumerate(zip(tiles, spikes, strict=True)):
        fractional = plane_at[t] == 0 and coding.lowest_plane == "fractional"
        _draw_image(axes, spiked / 2 if fractional else spiked, f"t = {t}: plane {plane_at[t]}", two_tone)


def _mark(tile: "Axes") -> None:
    tile.title.set_fontweight("bold")
    tile.spines[:].set(color="black", linewidth=3)


def _draw_exact_plane(axes: "Axes", x: np.ndarray, plane: int, label: str) -> None:
    coding = core.BitPlaneCoding()
    spikes = np.asarray(core.bit_planes(jnp.asarray(x), coding))[coding.time_of(plane)]
    axes.fill_between(x, spikes, step="post", color=EXACT["fill"], linewidth=0)
    axes.step(x, spikes, where="post", color=EXACT["color"], lw=1.2, label=label)


def _tidy(axes: "Axes", x: np.ndarray) -> None:
    last = float(x[-1])
    axes.set_xlim(0, last)
    axes.set_xticks(np.linspace(0, last, 5) if last < 255 else [0, 64, 128, 192, 255])
    axes.axhline(0, color="#9ca3af", lw=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.locator_params(axis="y", nbins=5)

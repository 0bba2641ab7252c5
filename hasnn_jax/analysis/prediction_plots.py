"""A picture of one prediction: the image's planes, what each block's spiking path fires, and what each path adds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jax.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_CLASSES = 5
MOST_LETTERS = 24  # of a class name
PATH_COLOURS = {"ann": "#0072b2", "snn": "#d55e00"}
PATH_NAMES = {"ann": "ANN path", "snn": "SNN path"}


def plot_prediction(
    image: ArrayLike,
    features: Mapping[str, ArrayLike],
    probabilities: ArrayLike,
    classes: Sequence[str],
    title: str = "",
) -> "Figure":
    """Draws what a model computes from one image.

    Above: the image, the bit planes that the first block's spiking path receives, in the order of the time steps, and
    the likeliest classes. Below: the mean of each block's spike trains at each time step (a residual block adds two
    trains, so that it may exceed 1), and the root mean square of what each path adds to the block's output.

    Args:
      image: uint8 or floating in [0, 1], [H, W, 1] or [H, W, 3].
      features: of a batch of this image alone; see `hasnn_jax.inference.loaded_model.LoadedModel.features`.
      probabilities: [num_classes].
      classes: class names in the order of the probabilities.
      title: of the figure.

    Returns:
      A matplotlib figure; call its `savefig`.
    """
    from matplotlib.figure import Figure

    arrays = {name: np.asarray(value, np.float32) for name, value in features.items()}
    blocks = [name for name in arrays if "/" not in name and name != "logits"]
    planes = arrays.get(f"{blocks[0]}/planes")
    figure = Figure(figsize=(12, 4.2 + 0.34 * len(blocks)), layout="constrained")
    figure.suptitle(title)
    rows = figure.add_gridspec(2, 2, height_ratios=(2.6, 1 + 0.3 * len(blocks)))
    row = rows[0, :].subgridspec(2, 12)
    _draw_image(figure.add_subplot(row[:, :3]), image)
    if planes is not None:
        for t, plane in enumerate(planes[:, 0]):
            axes = figure.add_subplot(row[t // 4, 3 + t % 4])
            _draw_pixels(axes, plane / max(1, plane.max()))
            axes.set_title(f"t = {t}", fontsize=9)
    _draw_classes(figure.add_subplot(row[:, 8:]), np.asarray(probabilities), classes)
    _draw_rates(figure.add_subplot(rows[1, 0]), {name: arrays.get(f"{name}/spikes") for name in blocks})
    _draw_paths(figure.add_subplot(rows[1, 1]), blocks, arrays)
    return figure


def _draw_image(axes: "Axes", image: ArrayLike) -> None:
    pixels = np.asarray(image)
    _draw_pixels(axes, pixels / 255 if pixels.dtype == np.uint8 else pixels)
    axes.set_title(f"image, {pixels.shape[0]} x {pixels.shape[1]} pixels", fontsize=10)


def _draw_pixels(axes: "Axes", pixels: np.ndarray) -> None:
    axes.imshow(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])


def _draw_classes(axes: "Axes", probabilities: np.ndarray, classes: Sequence[str]) -> None:
    best = np.argsort(-probabilities, kind="stable")[:MOST_CLASSES]
    bars = axes.barh(range(len(best)), 100 * probabilities[best], color="0.5")
    axes.bar_label(bars, [f"{probabilities[i]:.1%}" for i in best], padding=3, fontsize=9)
    axes.set_yticks(range(len(best)), [_shortened(classes[i]) for i in best])
    axes.set(xlim=(0, 118), xticks=[], title="probability")
    axes.title.set_fontsize(10)
    axes.invert_yaxis()
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _draw_rates(axes: "Axes", spikes: Mapping[str, np.ndarray | None]) -> None:
    axes.set_title("mean of the spike trains that leave each block's SNN path", fontsize=10)
    rates = {name: train.reshape(len(train), -1).mean(1) for name, train in spikes.items() if train is not None}
    if not rates:
        axes.text(0.5, 0.5, "the model has no SNN path", ha="center", va="center")
        axes.set(xticks=[], yticks=[])
        return
    table = np.stack(list(rates.values()))
    highest = float(np.max(table))
    axes.imshow(table, cmap="Oranges", vmin=0, vmax=max(0.01, highest), aspect="auto")
    for (row, t), rate in np.ndenumerate(table):
        colour = "white" if rate > 0.7 * highest else "black"
        axes.text(t, row, f"{rate:.2f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_yticks(range(len(rates)), list(rates))
    axes.set_xticks(range(table.shape[1]), [f"t = {t}" for t in range(table.shape[1])])


def _draw_paths(axes: "Axes", blocks: Sequence[str], arrays: Mapping[str, np.ndarray]) -> None:
    present = [path for path in PATH_NAMES if f"{blocks[0]}/{path}" in arrays]
    height = 0.8 / len(present)
    for index, path in enumerate(present):
        sizes: list[Any] = [np.sqrt(np.mean(arrays[f"{name}/{path}"] ** 2)) for name in blocks]
        places = np.arange(len(blocks)) + (index - (len(present) - 1) / 2) * height
        bars = axes.barh(places, sizes, height, color=PATH_COLOURS[path], label=PATH_NAMES[path])
        axes.bar_label(bars, [f"{size:.2f}" for size in sizes], padding=3, fontsize=8)
    axes.set_yticks(range(len(blocks)), list(blocks))
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.set_title("root mean square of what each path adds to the block's output", fontsize=10)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _shortened(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 3]}..."

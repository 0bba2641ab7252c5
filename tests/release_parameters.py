"""Draws the parameters of the golden networks: each from its own name, so that no file has to hold them."""

import json
import pathlib
import zlib
from collections.abc import Mapping

import numpy as np

GOLDEN = pathlib.Path(__file__).parent / "golden"


def release_names(network: str) -> dict[str, tuple[int, ...]]:
    """The release's state-dict names and shapes of a golden network: "resnet_basic_b8" or "vgg_b2_m2_d2"."""
    text = (GOLDEN / f"{network}.names.json").read_text(encoding="utf-8")
    return {name: tuple(shape) for name, shape in json.loads(text).items()}


def release_parameters(network: str) -> dict[str, np.ndarray]:
    """The state dict, in the release's layout and float64, that the golden numbers were computed with."""
    return draw_parameters(release_names(network))


def draw_parameters(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """A state dict of these names and shapes, drawn as the golden networks' were: every layer is active."""
    return {name: draw(name, shape) for name, shape in shapes.items()}


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One tensor of a state dict; the rules' order matters."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape)
    if name.endswith("running_mean"):
        return rng.normal(0, 0.1, shape)
    if len(shape) >= 2:
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
    if name.endswith("weight"):
        return rng.uniform(0.8, 1.2, shape)
    return rng.normal(0, 0.05, shape)

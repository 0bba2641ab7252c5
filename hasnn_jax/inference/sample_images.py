"""Images to measure a model with: those of its run's test split, or pictures by name."""

import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from jax import Array

from hasnn_jax.assembly.data import source_of_run, spread_batches
from hasnn_jax.checkpoints import folders
from hasnn_jax.common.chunks import in_chunks
from hasnn_jax.common.errors import InputError
from hasnn_jax.inference.loaded_model import CHUNK, LoadedModel
from hasnn_jax.inference.pictures import read_picture
from hasnn_jax.training.steps import unit_images

Batch = tuple[Array, np.ndarray | None]


def sample_batches(model: LoadedModel, weights: pathlib.Path, images: int) -> tuple[int, Iterator[Batch]]:
    """Batches of a run's test images, spread evenly over the split, prepared as its evaluation does.

    Args:
      model: loaded from the weights.
      weights: the run's workdir, or one of its checkpoints.
      images: how many; all if there are fewer.

    Returns:
      (how many there are, the batches: images in [0, 1], float32 [B, H, W, C], and their labels, int32 [B]).

    Raises:
      InputError: the weights are not a run's, or its data cannot be opened.
    """
    weights = weights.expanduser().absolute()
    workdir = weights if folders.newest_checkpoint(weights) else folders.workdir_of(weights)
    if workdir is None:
        raise InputError(f"{weights}: converted weights do not say what they were tested on; name images to measure")
    split = source_of_run(folders.read_config(workdir)).test
    batches = spread_batches(split, model.preprocessing, images, CHUNK)
    return min(images, len(split)), ((unit_images(pixels), labels) for pixels, labels in batches)


def picture_batches(model: LoadedModel, names: Sequence[str]) -> Iterator[Batch]:
    """Batches of pictures without labels; see `hasnn_jax.inference.pictures.read_picture`."""
    for chunk in in_chunks(names, CHUNK):
        yield unit_images(np.stack([read_picture(name, model) for name in chunk])), None

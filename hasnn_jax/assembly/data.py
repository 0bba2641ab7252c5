"""The configured data set, and how its images are preprocessed and read."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from hasnn_jax.common.chunks import in_chunks
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.lookup import call_with, look_up
from hasnn_jax.config import from_flat
from hasnn_jax.data import SOURCES, Preprocessing, Reading, Source, Split, hold_out


def open_source(settings: ConfigDict) -> Source:
    """Opens the data set that the config's data section describes.

    Raises:
      InputError: an unknown source, or one that cannot be opened; see the functions in `hasnn_jax.data.SOURCES`.
    """
    source = call_with(look_up("data source", settings.source, SOURCES), settings)
    return source if settings.validation is None else hold_out(source, settings.validation)


def source_of_run(settings: Mapping[str, Any]) -> Source:
    """Opens the data set of a run whose resolved config (dotted keys to values) is given.

    Raises:
      InputError: it cannot be opened.
    """
    return open_source(from_flat(settings).data)


def require_classes(source: Source, num_classes: int) -> None:
    """Raises InputError unless the data set has the configured number of classes."""
    if len(source.classes) != num_classes:
        raise InputError(f"config.data.num_classes: {source.name} has {len(source.classes)} classes, got {num_classes}")


def build_preprocessing(settings: ConfigDict) -> Preprocessing:
    """What the config's data section says of images."""
    return call_with(Preprocessing, settings)


def build_reading(settings: ConfigDict) -> Reading:
    """How this process reads its share of the batches."""
    return Reading(settings.workers, jax.process_index(), jax.process_count(), on_bad_image=settings.on_bad_image)


def spread_batches(
    split: Split, preprocessing: Preprocessing, images: int, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of images that are spread evenly over a split, prepared as for an evaluation.

    Args:
      split: examples.
      preprocessing: of their images.
      images: how many; all if there are fewer.
      batch_size: images in a batch; the last one may have fewer.

    Yields:
      (images, uint8 [B, H, W, C]; their labels, int [B]).
    """
    chosen = np.linspace(0, len(split) - 1, min(images, len(split))).round().astype(int)
    for places in in_chunks(chosen, batch_size):
        examples = [split[i] for i in places]
        pixels = np.stack([preprocessing.for_evaluation(example) for example in examples])
        yield pixels, np.array([preprocessing.label(example) for example in examples])


def count_steps(examples: int, batch_size: int) -> int:
    """Steps per epoch: whole batches; the remaining examples go into the next epoch.

    Raises:
      InputError: there are fewer examples than one batch takes.
    """
    if batch_size > examples:
        raise InputError(
            f"config.batch_size: {batch_size} images are more than the {examples:,} there are for training; lower it"
        )
    return examples // batch_size

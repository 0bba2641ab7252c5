"""Batches for training and evaluation: {"image": uint8 [B, H, W, C], "label": int32 [B]}.

Training batch k is a function of the seed and k alone: it does not depend on restarts or on the number of reading
threads. Evaluation covers every example exactly once.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from hasnn_jax.data import transforms
from hasnn_jax.data.sources import Split
from hasnn_jax.errors import InputError

Batch = dict[str, np.ndarray]
READ_THREADS = 8
PREFETCHED_BATCHES = 8


@dataclasses.dataclass(frozen=True)
class Preparation:
    """What is done to each example.

    Attributes:
      num_classes: labels must lie in 0..num_classes - 1.
      image_size: height and width after resizing, in pixels.
      flip: mirror training images left and right at random.
      shift: move training images by up to so many pixels at random.
    """

    num_classes: int
    image_size: int
    flip: bool = False
    shift: int = 0

    def plain(self, example: dict[str, Any]) -> dict[str, Any]:
        """Checks and resizes: what training and evaluation have in common."""
        image, label = np.asarray(example["image"]), int(example["label"])
        if image.ndim != 3 or image.dtype != np.uint8:
            raise InputError(f"image: expected uint8 [H, W, C], got {image.dtype} of shape {image.shape}")
        if not 0 <= label < self.num_classes:
            raise InputError(
                f"label {label}: expected 0 to {self.num_classes - 1}, for the model has {self.num_classes} classes"
            )
        return {"image": transforms.resize(image, self.image_size), "label": np.int32(label)}

    def random(self, example: dict[str, Any], generator: np.random.Generator) -> dict[str, Any]:
        """Augments a training example."""
        image = example["image"]
        if self.flip:
            image = transforms.flip_horizontally(image, generator)
        if self.shift:
            image = transforms.shift(image, self.shift, generator)
        return {**example, "image": image}


def train_batches(
    split: Split, preparation: Preparation, *, batch_size: int, seed: int, start_step: int = 0
) -> Iterator[Batch]:
    """An endless stream of shuffled, augmented batches, from batch `start_step` on.

    Each pass over the split is shuffled anew; a batch may join the end of one pass and the start of the next.
    """
    import grain

    dataset = (
        grain.MapDataset.source(split)
        .seed(seed)
        .shuffle()
        .repeat()
        .map(preparation.plain)
        .random_map(preparation.random)
        .batch(batch_size, drop_remainder=True)  # of an endless stream; else a batch of 1 overflows its length
    )
    options = grain.ReadOptions(num_threads=READ_THREADS, prefetch_buffer_size=PREFETCHED_BATCHES)
    return iter(dataset[start_step:].to_iter_dataset(options))


def evaluation_batches(split: Split, preparation: Preparation, *, batch_size: int) -> Iterator[Batch]:
    """Every example once, in order, with a "mask" [B] of 1 for real examples.

    The last batch is filled up by repeating its last example, masked 0, so that a batch-wide value range stays
    that of the real ones.
    """
    import grain

    dataset = grain.MapDataset.source(split).map(preparation.plain).batch(batch_size)
    options = grain.ReadOptions(num_threads=READ_THREADS, prefetch_buffer_size=PREFETCHED_BATCHES)
    for batch in dataset.to_iter_dataset(options):
        missing = batch_size - len(batch["label"])
        filled = {k: np.concatenate([v, np.repeat(v[-1:], missing, axis=0)]) for k, v in batch.items()}
        yield {**filled, "mask": np.arange(batch_size, dtype=np.int32) < batch_size - missing}

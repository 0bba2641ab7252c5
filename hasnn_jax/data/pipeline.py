"""Batches for training and evaluation: {"image": uint8 [B, H, W, C], "label": int32 [B], "replaced": bool [B]}.

Training batch k is a function of the seed and k alone: not of restarts, of how many processes share it, or of how many
workers and threads read it. Evaluation covers every example exactly once.

Grain orders the work, over threads and over worker processes; what it orders are the indices of a batch, and one call
here turns those into images.
"""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Generator
from multiprocessing import resource_tracker
from typing import Any, Literal

import numpy as np

from hasnn_jax.data.images import UnreadableImageError
from hasnn_jax.data.preparation import Preparation
from hasnn_jax.data.sources import Split
from hasnn_jax.errors import InputError

Batch = dict[str, np.ndarray]
OnBadImage = Literal["stop", "skip"]
READ_THREADS = 8
WORKER_THREADS = 1
WORKER_BUFFER = 2  # batches that each worker holds ready


@dataclasses.dataclass(frozen=True)
class Reading:
    """How batches are read; none of this changes what is in them, but for `on_bad_image`.

    Attributes:
      workers: processes that read and decode; 0 for threads of this one.
      process_index, process_count: which share of every batch is read here, of how many: consecutive examples.
      on_bad_image: "stop" ends with the image's name; "skip" takes the next readable image of the split in its place
        (in evaluation it counts as no example) and marks it in the batch's "replaced".
    """

    workers: int = 0
    process_index: int = 0
    process_count: int = 1
    on_bad_image: OnBadImage = "stop"


def train_batches(
    split: Split,
    preparation: Preparation,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    reading: Reading = Reading(),
) -> Generator[Batch, None, None]:
    """An endless stream of shuffled, augmented batches, from batch `start_step` on; this process's share of each.

    Each pass over the split is shuffled anew; a batch may join the end of one pass and the start of the next. Close it
    (`contextlib.closing`) where worker processes read.

    Raises:
      InputError: at the batch that holds it, an unreadable image or a label out of range.
    """
    import grain

    indices = (
        grain.MapDataset.range(len(split))
        .seed(seed)
        .shuffle()
        .repeat()
        .batch(batch_size, drop_remainder=True)  # of an endless stream; else a batch of 1 overflows its length
    )
    read = _ReadTraining(split, preparation, reading, batch_size, seed)
    return _stream(indices.map_with_index(read)[start_step:], reading)


def evaluation_batches(
    split: Split, preparation: Preparation, *, batch_size: int, reading: Reading = Reading()
) -> Generator[Batch, None, None]:
    """Every example once, in order, with a "mask" [B] of 1 for real examples; this process's share of each batch.

    The last batch is filled up by repeating the last example, masked 0, so that a batch-wide value range stays that of
    the real ones.
    """
    import grain

    batches = -(-len(split) // batch_size)
    read = _ReadEvaluation(split, preparation, reading, batch_size)
    return _stream(grain.MapDataset.range(batches).map(read), reading)


@dataclasses.dataclass(frozen=True)
class _Read:
    split: Split
    preparation: Preparation
    reading: Reading
    batch_size: int

    def share(self, count: int) -> slice:
        """The positions in a batch of `count` that this process reads."""
        size = count // self.reading.process_count
        return slice(self.reading.process_index * size, (self.reading.process_index + 1) * size)

    def examples(self, indices: np.ndarray, prepare) -> dict[str, Any]:
        """A batch, or {"error": ...}: an exception would not find its way out of Grain's worker processes."""
        try:
            results = [self.example(int(index), position, prepare) for position, index in enumerate(indices)]
        except InputError as error:
            return {"error": str(error)}
        images, labels, replaced = zip(*results, strict=True)
        return {"image": np.stack(images), "label": np.array(labels, np.int32), "replaced": np.array(replaced)}

    def example(self, index: int, position: int, prepare) -> tuple[np.ndarray, np.int32, bool]:
        """Image, label, and whether they are another example's than `index`'s."""
        for candidate in range(index, index + len(self.split)):
            try:
                example = self.split[candidate % len(self.split)]
                return prepare(example, position), self.preparation.label(example), candidate != index
            except UnreadableImageError:
                if self.reading.on_bad_image == "stop":
                    raise
        raise InputError("not one image of the split can be read")


@dataclasses.dataclass(frozen=True)
class _ReadTraining(_Read):
    seed: int

    def __call__(self, step: int, indices: np.ndarray) -> dict[str, Any]:
        share = self.share(len(indices))

        def prepare(example, position):
            # Random numbers by the example's place in the whole stream, whoever reads it.
            place = step * self.batch_size + share.start + position
            generator = np.random.Generator(np.random.Philox(key=np.array([self.seed, place], np.uint64)))
            return self.preparation.for_training(example, generator)

        return self.examples(indices[share], prepare)


@dataclasses.dataclass(frozen=True)
class _ReadEvaluation(_Read):
    def __call__(self, number: int) -> dict[str, Any]:
        share = self.share(self.batch_size)
        places = number * self.batch_size + np.arange(self.batch_size)[share]
        indices = np.minimum(places, len(self.split) - 1)
        batch = self.examples(indices, lambda example, _: self.preparation.for_evaluation(example))
        if "error" not in batch:
            batch["mask"] = (places < len(self.split)) & ~batch["replaced"]
            batch["replaced"] &= places < len(self.split)
        return batch


def _stream(batches: Any, reading: Reading) -> Generator[Batch, None, None]:
    import grain

    threads = WORKER_THREADS if reading.workers else READ_THREADS
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads)
    dataset = batches.to_iter_dataset(options)
    if reading.workers:
        _parse_no_flags()
        _start_quiet_resource_tracker()
        dataset = dataset.mp_prefetch(
            grain.multiprocessing.MultiprocessingOptions(
                num_workers=reading.workers, per_worker_buffer_size=WORKER_BUFFER
            ),
            worker_init_fn=_leave_signals_to_the_main_process,
        )
    with contextlib.closing(iter(dataset)) as iterator:
        for batch in iterator:
            if "error" in batch:
                raise InputError(str(batch["error"]))
            # A worker's arrays lie in shared memory, which must not outlive this process: out of it at once.
            yield {name: np.array(value) for name, value in batch.items()} if reading.workers else batch
            del batch


def _leave_signals_to_the_main_process(*_: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach the workers too, which are wanted until the main process has saved."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _start_quiet_resource_tracker() -> None:
    """Grain may stop a worker that holds a batch in shared memory; Python frees that, and would warn that it did."""
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [before, "ignore:resource_tracker:UserWarning"]))
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def _parse_no_flags() -> None:
    """Grain's worker processes want absl's flags parsed, which outside of an absl program nobody did."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()

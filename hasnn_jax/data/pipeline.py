"""Batches for training and evaluation: {"image": uint8 [B, H, W, C], "label": int32 [B], "replaced": bool [B]}.

Training batch k depends only on the seed and k. It does not depend on restarts, on the number of processes that share
it, or on the number of workers and threads that read it. Evaluation covers every example exactly once.

Grain distributes the work over threads or worker processes. Its elements are the indices of a batch; one function call
here turns them into images.
"""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Callable, Generator
from multiprocessing import resource_tracker
from typing import Any, Literal

import numpy as np

from hasnn_jax.common.errors import InputError
from hasnn_jax.data.images import UnreadableImageError
from hasnn_jax.data.preprocessing import Preprocessing
from hasnn_jax.data.sources import Split

Batch = dict[str, np.ndarray]
OnBadImage = Literal["stop", "skip"]
READ_THREADS = 8
WORKER_THREADS = 1
WORKER_BUFFER = 2  # batches that each worker prefetches


@dataclasses.dataclass(frozen=True)
class Reading:
    """How batches are read. Only `on_bad_image` changes their content.

    Attributes:
      workers: the number of worker processes that read and decode; 0: threads of the current process do.
      process_index, process_count: every batch is divided into `process_count` shares of consecutive examples; this
        process reads share `process_index`.
      on_bad_image: "stop" raises an error with the image's name. "skip" uses the next readable image of the split
        instead and marks it in the batch's "replaced"; evaluation does not count it.
    """

    workers: int = 0
    process_index: int = 0
    process_count: int = 1
    on_bad_image: OnBadImage = "stop"


def train_batches(
    split: Split,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    reading: Reading = Reading(),
) -> Generator[Batch, None, None]:
    """Yields shuffled, augmented batches without end; of each batch only this process's share.

    Every epoch is shuffled differently. A batch may contain the end of one epoch and the start of the next. With worker
    processes, close the generator after use (`contextlib.closing`).

    Args:
      split: the examples.
      preprocessing: applied to each example, with augmentation.
      batch_size: the size B of the whole batch, over all processes.
      seed: of the shuffling and the augmentation.
      start_step: the number of the first batch.
      reading: how to read.

    Raises:
      InputError: when a batch contains an unreadable image or a label that is out of range.
    """
    import grain

    indices = (
        grain.MapDataset.range(len(split))
        .seed(seed)
        .shuffle()
        .repeat()
        # Nothing is dropped from an endless stream; without this a batch size of 1 would overflow the stream's length.
        .batch(batch_size, drop_remainder=True)
    )
    read = _ReadTraining(split, preprocessing, reading, batch_size, seed)
    return _stream(indices.map_with_index(read)[start_step:], reading)


def evaluation_batches(
    split: Split, preprocessing: Preprocessing, *, batch_size: int, reading: Reading = Reading()
) -> Generator[Batch, None, None]:
    """Yields every example once, in order; of each batch only this process's share.

    Batches also have a "mask", bool [B], which is True for examples that count. The last batch is filled up with copies
    of the last example, so that a value range over the batch stays that of the real examples; the mask is False there.

    Args:
      split: the examples.
      preprocessing: applied to each example, without augmentation.
      batch_size: the size B of the whole batch, over all processes.
      reading: how to read.

    Raises:
      InputError: when a batch contains an unreadable image or a label that is out of range.
    """
    import grain

    batches = -(-len(split) // batch_size)
    read = _ReadEvaluation(split, preprocessing, reading, batch_size)
    return _stream(grain.MapDataset.range(batches).map(read), reading)


_Preprocess = Callable[[dict[str, Any], int], np.ndarray]  # (example, its position in this process's share) -> image


@dataclasses.dataclass(frozen=True)
class _Read:
    """Turns the indices of a batch into a batch; it is pickled and sent to the worker processes."""

    split: Split
    preprocessing: Preprocessing
    reading: Reading
    batch_size: int

    def share(self, count: int) -> slice:
        """The positions in a batch of `count` examples that this process reads."""
        size = count // self.reading.process_count
        return slice(self.reading.process_index * size, (self.reading.process_index + 1) * size)

    def examples(self, indices: np.ndarray, preprocess: _Preprocess) -> dict[str, Any]:
        """A batch, or {"error": message}, because Grain does not pass exceptions on from worker processes."""
        try:
            results = [self.example(int(index), position, preprocess) for position, index in enumerate(indices)]
        except InputError as error:
            return {"error": str(error)}
        images, labels, replaced = zip(*results, strict=True)
        return {"image": np.stack(images), "label": np.array(labels, np.int32), "replaced": np.array(replaced)}

    def example(self, index: int, position: int, preprocess: _Preprocess) -> tuple[np.ndarray, np.int32, bool]:
        """Image, label, and whether another example replaces the one at `index`."""
        for candidate in range(index, index + len(self.split)):
            try:
                example = self.split[candidate % len(self.split)]
                return preprocess(example, position), self.preprocessing.label(example), candidate != index
            except UnreadableImageError:
                if self.reading.on_bad_image == "stop":
                    raise
        raise InputError("no image of the split can be read")


@dataclasses.dataclass(frozen=True)
class _ReadTraining(_Read):
    seed: int

    def __call__(self, step: int, indices: np.ndarray) -> dict[str, Any]:
        share = self.share(len(indices))

        def preprocess(example: dict[str, Any], position: int) -> np.ndarray:
            # The random numbers depend on the example's place in the whole stream, not on the process that reads it.
            place = step * self.batch_size + share.start + position
            generator = np.random.Generator(np.random.Philox(key=np.array([self.seed, place], np.uint64)))
            return self.preprocessing.for_training(example, generator)

        return self.examples(indices[share], preprocess)


@dataclasses.dataclass(frozen=True)
class _ReadEvaluation(_Read):
    def __call__(self, number: int) -> dict[str, Any]:
        share = self.share(self.batch_size)
        places = number * self.batch_size + np.arange(self.batch_size)[share]
        indices = np.minimum(places, len(self.split) - 1)
        batch = self.examples(indices, lambda example, _: self.preprocessing.for_evaluation(example))
        if "error" not in batch:
            batch["mask"] = (places < len(self.split)) & ~batch["replaced"]
            batch["replaced"] &= places < len(self.split)
        return batch


def _stream(batches: Any, reading: Reading) -> Generator[Batch, None, None]:
    """Yields the batches of a `grain.MapDataset`, read ahead by threads or worker processes."""
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
            # A worker's arrays are in shared memory, which may not outlive this process, so they are copied at once.
            yield {name: np.array(value) for name, value in batch.items()} if reading.workers else batch
            del batch


def _leave_signals_to_the_main_process(*_: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM also reach the workers, which must run until the main process has saved."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _start_quiet_resource_tracker() -> None:
    """Grain may stop a worker that holds a batch in shared memory; Python then frees it with a warning, hidden here."""
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
    """Marks absl's flags as parsed, which Grain's worker processes require and only an absl program does itself."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()

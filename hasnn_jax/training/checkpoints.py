"""Checkpoints of the train state by Orbax, in `<workdir>/checkpoints/<step>`, written while training goes on.

Each carries the fingerprint of its arrays. What is read is checked against it, so that damage of any kind, to a byte,
is either without effect or found; the checkpoint before is used then.
"""

import contextlib
import errno
import itertools
import json
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from hasnn_jax.errors import InputError
from hasnn_jax.fingerprint import fingerprint
from hasnn_jax.guarded_reading import read_guarded
from hasnn_jax.training import processes
from hasnn_jax.training.state import TrainState

policies = ocp.training.preservation_policies


class Checkpoints:
    """The checkpoints of one run. Use as a context manager, so that a save under way is finished on leaving.

    Attributes:
      directory: where they are; made if it does not exist. Half-written ones are removed, and damaged ones moved into
        the folder "damaged" beside it, if there is a whole one older than they.
      keep: how many of the latest to keep.
      keep_best: how many of those with the highest accuracy to keep besides.
      say: is told which ones are damaged.
    """

    def __init__(
        self, directory: pathlib.Path, keep: int, keep_best: int = 0, say: Callable[[str], object] = lambda _: None
    ):
        self.directory = directory.absolute()
        for remark in set_damaged_aside(self.directory):
            say(remark)
        retained = [policies.LatestN(keep)]
        if keep_best:
            retained.append(
                policies.BestN(get_metric_fn=_accuracy, n=keep_best, keep_checkpoints_without_metrics=False)
            )
        self._checkpointer = ocp.training.Checkpointer(
            self.directory,
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.AnyPreservationPolicy(retained),
            cleanup_tmp_directories=True,
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.finish()
            self._checkpointer.close()
        elif jax.process_count() == 1:  # an error is on its way: with others, which may be lost, there is no waiting
            with contextlib.suppress(InputError):
                self.finish()

    @property
    def latest_step(self) -> int | None:
        """The newest whole checkpoint's step; None where there is none. Orbax itself counts the one under way."""
        return max((int(folder.name) for folder in self.directory.glob("*") if folder.name.isdecimal()), default=None)

    def save(self, state: TrainState, accuracy: float | None = None) -> None:
        """Starts to save the state under its own step, unless that step is saved already; it may be donated afterwards.

        A save still under way is waited for.

        Raises:
          InputError: that one failed, or this one cannot be begun.
        """
        self.finish()
        processes.on_main(self._require_directory)
        step = int(state.step)
        if step != self.latest_step:
            with self._failure_told():
                self._checkpointer.save_async(
                    step,
                    state,
                    force=True,
                    metrics=None if accuracy is None else {"accuracy": accuracy},
                    custom_metadata={"fingerprint": fingerprint(state)},
                )

    def finish(self) -> None:
        """Waits until what is being saved is on disk.

        Raises:
          InputError: it could not be written.
        """
        with self._failure_told():
            self._checkpointer.wait()

    def restore(self, like: TrainState, shardings: TrainState) -> TrainState:
        """The newest state: structure, shapes and dtypes as `like` (arrays or not), laid out by `shardings`."""
        abstract = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), like, shardings
        )
        return self._checkpointer.load(self.latest_step, abstract)

    def _require_directory(self) -> None:
        if not self.directory.is_dir():  # Orbax would make it anew, and the run would go on without its past
            raise InputError(
                f"{self.directory}: is gone, and the run's checkpoints with it; put it back, or start again in another "
                "--workdir"
            )

    @contextlib.contextmanager
    def _failure_told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:  # TensorStore's errors are ValueErrors
            full = any(os.strerror(code) in str(error) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
            reason = "the disk is full" if full else _first_line(error)
            last = self.latest_step
            good = "there is none yet" if last is None else f"the last one, of step {last}, is whole"
            advice = (
                "make room, and the same command goes on from there" if full else "the same command goes on from there"
            )
            raise InputError(
                f"{self.directory}: a checkpoint could not be written ({reason}); {good}; {advice}"
            ) from None


def set_damaged_aside(directory: pathlib.Path) -> list[str]:
    """Moves damaged checkpoints out of the way, into "damaged" beside their folder. All processes call it.

    Those that are older than the newest whole one are looked at no further than Orbax does before it reads them.

    Returns:
      a remark on each.

    Raises:
      InputError: there are checkpoints, and not one of them is whole; they are left where they are.
    """
    steps = processes.on_main(lambda: [int(folder.name) for folder in directory.glob("*") if folder.name.isdecimal()])
    faults: dict[int, str] = {}
    whole = None
    for step in sorted(steps, reverse=True):
        check = find_fault if whole is None else _fault_of_metrics
        fault = processes.first_told(check(directory / str(step)))
        if fault is not None:
            faults[step] = fault
        elif whole is None:
            whole = step
    if faults and whole is None:
        told = "; ".join(f"{step}: {fault}" for step, fault in faults.items())
        raise InputError(f"{directory}: every checkpoint is damaged ({told}); start again in another --workdir")
    return processes.on_main(lambda: [_set_aside(directory, step, fault) for step, fault in faults.items()])


def _set_aside(directory: pathlib.Path, step: int, fault: str) -> str:
    folder = directory.parent / "damaged"
    folder.mkdir(exist_ok=True)
    names = itertools.chain([str(step)], (f"{step}.{count}" for count in itertools.count(2)))
    place = next(folder / name for name in names if not (folder / name).exists())
    (directory / str(step)).rename(place)
    return f"the checkpoint of step {step} is damaged ({fault}); it lies in {place} now"


def find_fault(checkpoint: pathlib.Path) -> str | None:
    """What is wrong with a checkpoint, in a few words; None if it is whole.

    Every process reads all of it for itself, and none waits for another, whatever goes wrong. That all of them do keeps
    Orbax's count of operations, by which its later barriers are named, the same in all.
    """
    alone = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index(),
        active_processes={jax.process_index()},
        barrier_sync_key_prefix="find_fault",
    )
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])

    def is_whole() -> bool:
        with ocp.Context(multiprocessing_options=alone):
            about = ocp.metadata(checkpoint)
            abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), about.metadata)
            return fingerprint(ocp.load(checkpoint, abstract)) == about.custom_metadata["fingerprint"]

    whole, reason = read_guarded(is_whole)
    if reason is not None:
        return reason
    return _fault_of_metrics(checkpoint) if whole else "other numbers than were saved"


def _fault_of_metrics(checkpoint: pathlib.Path) -> str | None:
    file = checkpoint / "metrics" / "metrics"
    try:
        if file.exists():
            _accuracy(json.loads(file.read_bytes()))
    except (ValueError, KeyError, TypeError) as error:
        return f"unreadable metrics: {_first_line(error)}"
    return None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _accuracy(metrics: Any) -> float:
    return float(metrics["accuracy"])

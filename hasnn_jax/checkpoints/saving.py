"""Saving checkpoints of the train state with Orbax, in `WORKDIR/checkpoints/STEP`, while training continues.

Each checkpoint carries the fingerprint of its arrays, by which damage is found when it is restored.
"""

import contextlib
import pathlib
from collections.abc import Iterator, Sequence

import jax
from orbax.checkpoint import v1 as ocp

from hasnn_jax.checkpoints import folders
from hasnn_jax.checkpoints.fingerprint import fingerprint
from hasnn_jax.checkpoints.metadata import metadata
from hasnn_jax.common.errors import InputError, first_line, is_disk_full
from hasnn_jax.training import processes
from hasnn_jax.training.state import TrainState

policies = ocp.training.preservation_policies


class Checkpoints:
    """The checkpoints that one run saves. Use as a context manager, so that a save under way is finished on leaving.

    Opening removes what a killed process left half-written. Damaged checkpoints must be out of the way by then:
    `restoring.restore_newest` comes first.

    Attributes:
      directory: of the checkpoints; made if it does not exist.
      keep: how many of the latest to keep.
      keep_best: how many of those with the highest accuracy to keep in addition.
      classes: class names, saved with every checkpoint.
    """

    def __init__(self, directory: pathlib.Path, keep: int, keep_best: int = 0, classes: Sequence[str] | None = None):
        self.directory = directory.absolute()
        self._classes = classes
        retained = [policies.LatestN(keep)]
        if keep_best:
            retained.append(
                policies.BestN(get_metric_fn=folders.accuracy_of, n=keep_best, keep_checkpoints_without_metrics=False)
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
        elif jax.process_count() == 1:  # after an error; other processes may be lost, so there is no waiting for them
            with contextlib.suppress(InputError):
                self.finish()

    @property
    def latest_step(self) -> int | None:
        """The newest complete checkpoint's step; None if there is none. Orbax itself counts the one under way."""
        return folders.newest_step(self.directory)

    def save(self, state: TrainState, accuracy: float | None = None) -> None:
        """Starts to save the state under its own step, unless that step is saved already.

        Waits for a save still under way. The state may be donated as soon as this returns.

        Raises:
          InputError: the save under way failed, or this one cannot begin.
        """
        self.finish()
        processes.on_main(self._require_directory)
        step = int(state.step)
        if step != self.latest_step:
            with self._errors_explained():
                self._checkpointer.save_async(
                    step,
                    state,
                    force=True,
                    metrics=None if accuracy is None else {"accuracy": accuracy},
                    custom_metadata=metadata(classes=self._classes, fingerprint=fingerprint(state)),
                )

    def finish(self) -> None:
        """Waits until the save under way is on disk.

        Raises:
          InputError: it could not be written.
        """
        with self._errors_explained():
            self._checkpointer.wait()

    def _require_directory(self) -> None:
        if not self.directory.is_dir():  # Orbax would create it, and the run would continue without its past
            raise InputError(
                f"{self.directory}: is gone, and with it the run's checkpoints; put it back, or start again in another "
                "--workdir"
            )

    @contextlib.contextmanager
    def _errors_explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:  # TensorStore's errors are ValueErrors
            full = is_disk_full(error)
            reason = "the disk is full" if full else first_line(error)
            last = self.latest_step
            good = "there is none yet" if last is None else f"the last one, of step {last}, is intact"
            advice = f"{'make room, and ' if full else ''}the same command resumes from there"
            raise InputError(
                f"{self.directory}: a checkpoint could not be written ({reason}); {good}; {advice}"
            ) from None

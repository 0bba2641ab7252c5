"""The training loop: steps, and between them what is due: logging, evaluation, checkpoints."""

import contextlib
import dataclasses
import math

import jax

from hasnn_jax import data
from hasnn_jax.assembly.run_setup import RunSetup
from hasnn_jax.checkpoints.saving import Checkpoints
from hasnn_jax.common.errors import DivergedError
from hasnn_jax.runs.evaluate import Evaluate, evaluate_all, kept_evaluation
from hasnn_jax.runs.interrupt import StopRequest
from hasnn_jax.runs.run_log import RunLog
from hasnn_jax.runs.timetable import Timetable
from hasnn_jax.training import sharding
from hasnn_jax.training.program import TrainProgram
from hasnn_jax.training.state import TrainState, empty_window

DIVERGED = 100  # a mean loss this many times that of uniform guessing counts as diverged


@dataclasses.dataclass(frozen=True)
class TrainingLoop:
    """The loop of one run.

    Attributes:
      setup: data, model and devices.
      program: the train step.
      timetable: what is due after which step.
      seed: of the order and the augmentation of the training examples.
      checkpoints: of the run.
      log: of the run.
      stop: whether the run has been asked to stop.
    """

    setup: RunSetup
    program: TrainProgram
    timetable: Timetable
    seed: int
    checkpoints: Checkpoints
    log: RunLog
    stop: StopRequest

    def run(self, state: TrainState, start: int, *, evaluate_first: bool) -> tuple[TrainState, bool]:
        """Trains to the last step, or until the run is asked to stop, and saves the state there.

        Args:
          state: after `start` steps; donated.
          start: 0 for a new run.
          evaluate_first: whether the evaluation after step `start` is still missing.

        Returns:
          (the state after the last step done, whether the run is complete).
        """
        evaluate = kept_evaluation(self.setup)
        if evaluate_first and not self._evaluate_and_save(evaluate, state, start):
            self.checkpoints.finish()
            return state, False
        complete = True
        batches = data.train_batches(
            self.setup.source.train,
            self.setup.preprocessing,
            batch_size=self.setup.batch_size,
            seed=self.seed,
            start_step=start,
            reading=self.setup.reading,
        )
        start_window = jax.jit(empty_window, out_shardings=sharding.replicated(self.setup.mesh))
        with contextlib.closing(batches):
            for step in range(start + 1, self.timetable.total + 1):
                state, _ = self.program.step(state, sharding.put_batch(next(batches), self.setup.mesh))
                self.log.progress.advance()
                if self.timetable.logs(step):
                    metrics = {**self._read_window(state), "learning_rate": float(self.program.schedule(step - 1))}
                    self.log.train(step, self.timetable.epoch(step), metrics)
                    state = dataclasses.replace(state, window=start_window())
                complete = self._evaluate_and_save(evaluate, state, step)
                if not complete:
                    break
        self.checkpoints.finish()
        return state, complete

    def _evaluate_and_save(self, evaluate: Evaluate, state: TrainState, step: int) -> bool:
        """Does what is due after a step, and saves the state if the run is to stop; whether the run continues."""
        stopping, accuracy = self.stop.requested(), None
        if self.timetable.evaluates(step) and not stopping:
            metrics = evaluate_all(evaluate, state.variables, self.setup, stop=self.stop.requested)
            if metrics is None:
                stopping = True
            else:
                self.log.test(step, self.timetable.epoch(step), metrics)
                accuracy = metrics["accuracy"]
        if stopping or self.timetable.saves(step):
            self._read_window(state)  # raises if training has diverged, so that such a state is not saved
            self.checkpoints.save(state, accuracy)
        return not stopping

    def _read_window(self, state: TrainState) -> dict[str, float]:
        """Means over the steps since the last log point, fetched from the devices; {} if there were none.

        Raises:
          DivergedError: training has diverged; the message has the step, the last good checkpoint and what to do.
        """
        window = {name: value.item() for name, value in jax.device_get(state.window).items()}
        steps, replaced, diverged = (window.pop(name) for name in ("steps", "replaced", "diverged"))
        if not steps:
            return {}
        means = {name: total / steps for name, total in window.items()}
        if diverged:
            raise self._divergence("the loss or its gradient is not finite", int(diverged))
        if means["loss"] > DIVERGED * math.log(len(self.setup.source.classes)):
            raise self._divergence(
                f"the loss is {means['loss']:.3g}, over {DIVERGED} times that of guessing", int(state.step)
            )
        return means | ({"replaced": replaced} if replaced else {})

    def _divergence(self, what: str, step: int) -> DivergedError:
        """The error that ends a run that has diverged."""
        self.checkpoints.finish()
        workdir, saved = self.checkpoints.directory.parent, self.checkpoints.latest_step
        good = "nothing was saved before" if saved is None else f"the last good checkpoint is step {saved}"
        weights = "" if saved is None else f", from these weights by --config.model.init_from={workdir}"
        return DivergedError(
            f"training has diverged at step {step}: {what} ({good}, in {workdir}); lower config.optim.learning_rate, "
            f"or set config.optim.clip_norm, and start again in another --workdir{weights}",
            what,
            step,
        )

"""The training run, from a config to a summary: the one place that joins the rooms."""

import contextlib
import dataclasses
import math
import os
import pathlib
from typing import Any

import jax
from ml_collections import ConfigDict

from hasnn_jax import data, run_report
from hasnn_jax.assembly import Experiment, count_steps, read_weights, set_up
from hasnn_jax.config import CONTINUABLE, flatten
from hasnn_jax.errors import InputError
from hasnn_jax.evaluation import compile_evaluation, evaluate_all
from hasnn_jax.interop.weights import newest_checkpoint
from hasnn_jax.run_report import say
from hasnn_jax.training import processes, sharding
from hasnn_jax.training.checkpoints import Checkpoints
from hasnn_jax.training.interrupt import StopRequest
from hasnn_jax.training.run_log import RunLog
from hasnn_jax.training.state import TrainState, empty_window
from hasnn_jax.training.timetable import Timetable
from hasnn_jax.training.workdir import claim_workdir
from hasnn_jax.training_program import Training, build_training

DIVERGED = 100  # times the loss of guessing evenly


def train_and_evaluate(config: ConfigDict, workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """Trains the configured model and evaluates it, continuing from the workdir's checkpoint where it has one.

    Where several processes train together, all of them call this.

    Args:
      config: see `hasnn_jax.config.default_config`.
      workdir: receives the config, metrics, checkpoints, curves and summary; a folder that all processes share.

    Returns:
      "step", "epoch", and "test_loss" and "test_accuracy" (0..1) of the last evaluation; "complete": whether the
      schedule has been run to its end.

    Raises:
      InputError: bad input, before anything in the workdir is changed; training that diverges; a disk that is full.
    """
    # Everything that the config names, before anything is written.
    experiment = set_up(config)
    steps_per_epoch = count_steps(len(experiment.source.train), config.batch_size)
    variables = jax.eval_shape(experiment.initialise)
    training = build_training(config, experiment.model, variables, experiment.mesh, steps_per_epoch)
    timetable = Timetable(
        config.epochs, steps_per_epoch, config.log_every_steps, config.eval_every_epochs, config.save_every_epochs
    )
    parameters = run_report.count_parameters(training.state)
    weights = starting_weights(config, experiment, workdir)

    with (
        claim_workdir(workdir, flatten(config), CONTINUABLE) as workdir,
        Checkpoints(workdir / "checkpoints", config.keep_checkpoints, config.keep_best, say) as checkpoints,
    ):
        start = checkpoints.latest_step or 0
        # The evaluation that is due at the checkpoint's step may have been what the run was stopped in.
        behind = timetable.evaluates(start) and not processes.on_main(lambda: run_report.is_evaluated(workdir, start))
        if start >= timetable.total and not behind:
            processes.on_main(lambda: run_report.report_complete(config, workdir, experiment, parameters))
            return processes.on_main(lambda: run_report.result(workdir, start, timetable, complete=True))
        if start:
            state = checkpoints.restore(training.state, training.shardings)
        else:
            state = training.begin(weights or experiment.initialise())
        processes.on_main(lambda: (workdir / run_report.SUMMARY).unlink(missing_ok=True))
        with RunLog(workdir, timetable.total, start, config.batch_size) as log, StopRequest() as stop:
            run_report.announce(log, config, experiment, parameters, start, timetable.total)
            run = Run(config, experiment, training, timetable, checkpoints, log, stop)
            step, complete = run.go(state, start, behind=behind)
            if not complete:
                log.say(f"stopped and saved at step {step} of {timetable.total}; the same command goes on from here")
            processes.on_main(lambda: finish(run, workdir, parameters, complete=complete))
        return processes.on_main(lambda: run_report.result(workdir, step, timetable, complete=complete))


@dataclasses.dataclass(frozen=True)
class Run:
    """The steps of one run, with what is due between them.

    Attributes:
      config: of the run.
      experiment, training, timetable: as it names them.
      checkpoints, log: of its workdir.
      stop: whether it has been asked to stop.
    """

    config: ConfigDict
    experiment: Experiment
    training: Training
    timetable: Timetable
    checkpoints: Checkpoints
    log: RunLog
    stop: StopRequest

    def go(self, state: TrainState, start: int, *, behind: bool) -> tuple[int, bool]:
        """Trains from a state to the end, or to where it is asked to stop, and saves what it has come to.

        Args:
          state: after `start` steps.
          start: 0 for a new run.
          behind: whether the evaluation of that step is still to be done.

        Returns:
          the last step, and whether the run is complete.
        """
        mesh, due = self.experiment.mesh, self.timetable
        start_window = jax.jit(empty_window, out_shardings=sharding.replicated(mesh))
        evaluate = compile_evaluation(self.experiment.model, mesh)
        batches = data.train_batches(
            self.experiment.source.train,
            self.experiment.preparation,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            start_step=start,
            reading=self.experiment.reading,
        )
        with contextlib.closing(batches):
            for step in range(start if behind else start + 1, due.total + 1):
                if step > start:
                    state, _ = self.training.step(state, sharding.put_batch(next(batches), mesh))
                    self.log.progress.advance()
                    if due.logs(step):
                        means = self.read_window(state)
                        rate = float(self.training.schedule(step - 1))
                        self.log.train(step, due.epoch(step), {**means, "learning_rate": rate})
                        state = dataclasses.replace(state, window=start_window())
                stopping, accuracy = self.stop.requested(), None
                if due.evaluates(step) and not stopping:
                    test = evaluate_all(
                        evaluate, state.variables, self.experiment, self.config.batch_size, stop=self.stop.requested
                    )
                    if test is None:
                        stopping = True
                    else:
                        self.log.test(step, due.epoch(step), test)
                        accuracy = test["accuracy"]
                if stopping or due.saves(step):
                    self.read_window(state)  # a state that has diverged is not saved
                    self.checkpoints.save(state, accuracy)
                if stopping:
                    break
            self.checkpoints.finish()
        return step, not stopping

    def read_window(self, state: TrainState) -> dict[str, float]:
        """Means over the steps since the last log point, fetched from the devices; {} where there are none.

        Raises:
          InputError: training has diverged, with the step, the last good checkpoint and what to do.
        """
        window = {name: value.item() for name, value in jax.device_get(state.window).items()}
        steps, replaced, diverged = (window.pop(name) for name in ("steps", "replaced", "diverged"))
        if not steps:
            return {}
        means = {name: total / steps for name, total in window.items()}
        if diverged:
            raise self.told_divergence(f"the loss or its gradient is not finite at step {diverged}")
        if means["loss"] > DIVERGED * math.log(self.config.data.num_classes):
            raise self.told_divergence(
                f"the loss is {means['loss']:.3g} at step {int(state.step)}, {DIVERGED} times that of guessing and more"
            )
        return means | ({"replaced": replaced} if replaced else {})

    def told_divergence(self, what: str) -> InputError:
        """The error that ends a run which has diverged."""
        self.checkpoints.finish()
        workdir, saved = self.checkpoints.directory.parent, self.checkpoints.latest_step
        good = "nothing was saved before" if saved is None else f"the last good checkpoint is step {saved}"
        weights = "" if saved is None else f", from these weights by --config.model.init_from={workdir}"
        return InputError(
            f"training has diverged: {what} ({good}, in {workdir}); lower config.optim.learning_rate, or set "
            f"config.optim.clip_norm, and start again in another --workdir{weights}"
        )


def starting_weights(config: ConfigDict, experiment: Experiment, workdir: str | os.PathLike[str]):
    """The weights that a new run starts from; None for freshly initialised ones, and where a checkpoint goes before."""
    if config.model.init_from is None or newest_checkpoint(pathlib.Path(workdir).expanduser()):
        return None
    variables, ranges_missing = read_weights(config.model, experiment.model, experiment.initialise())
    say(f"weights  {config.model.init_from}")
    if ranges_missing:
        say(f"         without tracked value ranges: {ranges_missing} start at [0, 1]")
    return variables


def finish(run: Run, workdir: pathlib.Path, parameters: int, *, complete: bool) -> None:
    """Draws the curves, and sums a finished run up."""
    run_report.plot_run(run.config, workdir)
    if complete:
        session = run_report.session_line(run.log.progress)
        run.log.say(run_report.write_summary(run.config, workdir, run.experiment, parameters, session))

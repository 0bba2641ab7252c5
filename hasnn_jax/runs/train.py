"""A training run, from a config to a summary; read it top to bottom."""

import dataclasses
import functools
import os
import pathlib
from typing import Any

from ml_collections import ConfigDict

from hasnn_jax.assembly.data import count_steps
from hasnn_jax.assembly.model import read_weights
from hasnn_jax.assembly.program import build_program
from hasnn_jax.assembly.run_setup import RunSetup, set_up
from hasnn_jax.checkpoints import folders
from hasnn_jax.checkpoints.restoring import restore_newest
from hasnn_jax.checkpoints.saving import Checkpoints
from hasnn_jax.config import RESUMABLE, default_config, flatten
from hasnn_jax.runs import report
from hasnn_jax.runs.interrupt import StopRequest
from hasnn_jax.runs.loggers import require_installed
from hasnn_jax.runs.loop import TrainingLoop
from hasnn_jax.runs.measured import cost_of_image, measured_lines
from hasnn_jax.runs.run_log import RunLog
from hasnn_jax.runs.timetable import Timetable
from hasnn_jax.runs.workdir import claim_workdir
from hasnn_jax.training import processes


def train_and_evaluate(
    config: ConfigDict, workdir: str | os.PathLike[str], *, keep_programs_in: pathlib.Path | None = None
) -> dict[str, Any]:
    """Trains the configured model and evaluates it, resuming from the workdir's newest checkpoint if it has one.

    Where several processes train together, all of them call this.

    Args:
      config: see `hasnn_jax.config.default_config`.
      workdir: receives the config, metrics, checkpoints, curves and summary; a folder that all processes share.
      keep_programs_in: folder in which traced programs are kept for the next start; see
        `hasnn_jax.assembly.kept_programs.KeptPrograms`. None: nothing is kept.

    Returns:
      "step", "epoch", and "test_loss" and "test_accuracy" (0..1) of the last evaluation; "complete": whether the run
      has reached its last step; "asked_to_stop": whether Ctrl-C or SIGTERM came, be it too late to stop this run.

    Raises:
      InputError: bad input, before anything in the workdir is changed; training that diverges; a disk that is full.
    """
    # Build all that the config names before anything is written.
    setup = set_up(config, keep_programs_in)
    processes.on_main(lambda: require_installed(config.loggers))
    steps_per_epoch = count_steps(len(setup.source.train), config.batch_size)
    program = build_program(config, setup.model, setup.shapes, setup.mesh, steps_per_epoch)
    program = dataclasses.replace(
        program,
        begin=setup.programs.keep("begin", program.begin),
        step=setup.programs.keep(
            "train_step", program.step, steps_per_epoch, compiler_options=program.compiler_options, donates=True
        ),
    )
    timetable = Timetable(
        config.epochs, steps_per_epoch, config.log_every_steps, config.eval_every_epochs, config.save_every_epochs
    )
    about = report.describe(config, setup, program.state)
    weights = starting_weights(config, setup, workdir)

    with claim_workdir(workdir, flatten(config), RESUMABLE, flatten(default_config())) as workdir:
        directory = workdir / folders.CHECKPOINTS
        state = restore_newest(directory, program.state, program.shardings, processes.say)
        start = 0 if state is None else int(state.step)
        # A run may have been stopped between the save and the evaluation of the same step.
        evaluation_due = timetable.evaluates(start) and not processes.on_main(
            lambda: report.is_evaluated(workdir, start)
        )
        if start >= timetable.total and not evaluation_due:
            processes.on_main(lambda: report.report_complete(about, workdir, config.epochs))
            return processes.on_main(lambda: report.result(workdir, start, timetable, complete=True))
        if state is None:
            state = program.begin(weights or setup.initialise())
        processes.on_main(lambda: (workdir / report.SUMMARY).unlink(missing_ok=True))
        with (
            Checkpoints(directory, config.keep_checkpoints, config.keep_best, setup.source.classes) as checkpoints,
            RunLog(workdir, timetable.total, start, config.batch_size, config.loggers, flatten(config)) as log,
            StopRequest() as stop,
        ):
            if processes.is_main():
                report.announce(log, about, cost_of_image(setup), start, timetable.total)
            loop = TrainingLoop(setup, program, timetable, config.seed, checkpoints, log, stop)
            state, complete = loop.run(state, start, evaluate_first=evaluation_due)
            step = int(state.step)
            if not complete:
                log.say(f"stopped and saved at step {step} of {timetable.total}; the same command resumes from here")
            measure = None
            if complete:
                measure = functools.partial(measured_lines, setup, processes.to_host(state.variables), workdir)
            processes.on_main(lambda: report.finish(about, workdir, log, measure))
        return processes.on_main(
            lambda: report.result(workdir, step, timetable, complete=complete, asked_to_stop=stop.received)
        )


def starting_weights(config: ConfigDict, setup: RunSetup, workdir: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The weights of `config.model.init_from`; None if it names none, or if the workdir has a checkpoint to resume."""
    if config.model.init_from is None or folders.newest_checkpoint(pathlib.Path(workdir).expanduser()):
        return None
    variables, ranges_missing = read_weights(config.model, setup.model, setup.initialise())
    processes.say(f"weights  {config.model.init_from}")
    if ranges_missing:
        processes.say(f"         without tracked value ranges: {ranges_missing} start at [0, 1]")
    return variables

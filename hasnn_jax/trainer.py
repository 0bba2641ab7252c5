"""The training run, from a config to a summary: the one place that joins the rooms."""

import contextlib
import functools
import math
import os
import pathlib
import sys
from typing import Any

import jax
from ml_collections import ConfigDict

from hasnn_jax import data
from hasnn_jax.analysis.curves import plot_curves
from hasnn_jax.assembly import (
    Experiment,
    build_optimizer,
    build_schedule,
    compile_training,
    count_steps,
    read_weights,
    set_up,
)
from hasnn_jax.config import CONTINUABLE, flatten
from hasnn_jax.data import Source
from hasnn_jax.errors import InputError
from hasnn_jax.evaluation import compile_evaluation, evaluate_all
from hasnn_jax.interop.weights import newest_checkpoint
from hasnn_jax.training import processes, sharding
from hasnn_jax.training.checkpoints import Checkpoints
from hasnn_jax.training.interrupt import StopRequest
from hasnn_jax.training.metrics import read_metrics
from hasnn_jax.training.progress import format_duration
from hasnn_jax.training.run_log import RunLog
from hasnn_jax.training.state import TrainState, create_state, empty_window
from hasnn_jax.training.workdir import claim_workdir, write_atomically

DIVERGED = 100  # times the loss of guessing evenly
SUMMARY = "summary.txt"  # there only while the run is complete


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
    source, mesh = experiment.source, experiment.mesh
    steps_per_epoch = count_steps(len(source.train), config.batch_size)
    total_steps = config.epochs * steps_per_epoch
    schedule = build_schedule(config, steps_per_epoch)
    optimizer = build_optimizer(config.optim, schedule)
    averaged = config.optim.average_decay is not None
    make_state = functools.partial(create_state, optimizer=optimizer, seed=config.seed, averaged=averaged)
    like = jax.eval_shape(lambda: make_state(experiment.initialise()))
    shardings = sharding.of_state(like, mesh, fully_sharded=config.shard_parameters)
    train = compile_training(config, experiment.model, optimizer, mesh, shardings)
    evaluate = compile_evaluation(experiment.model, mesh)
    start_window = jax.jit(empty_window, out_shardings=sharding.replicated(mesh))
    weights = starting_weights(config, experiment, workdir)

    with (
        claim_workdir(workdir, flatten(config), CONTINUABLE) as workdir,
        Checkpoints(workdir / "checkpoints", config.keep_checkpoints, config.keep_best, say) as checkpoints,
    ):
        start = checkpoints.latest_step or 0
        # The evaluation that is due at the checkpoint's step may have been what the run was stopped in.
        due = functools.partial(evaluation_due, config, steps_per_epoch, total_steps)
        behind = due(start) and not processes.on_main(lambda: is_evaluated(workdir, start))
        if start >= total_steps and not behind:
            return processes.on_main(lambda: report_complete(config, workdir, source, like, steps_per_epoch, start))
        if start:
            state = checkpoints.restore(like, shardings)
        else:
            state = jax.jit(make_state, out_shardings=shardings)(weights or experiment.initialise())
        processes.on_main(lambda: (workdir / SUMMARY).unlink(missing_ok=True))
        log = RunLog(workdir, total_steps, start, config.batch_size)
        batches = data.train_batches(
            source.train,
            experiment.preparation,
            batch_size=config.batch_size,
            seed=config.seed,
            start_step=start,
            reading=experiment.reading,
        )
        with log, contextlib.closing(batches), StopRequest() as stop:
            announce(log, config, experiment, state, start, total_steps, workdir)
            for step in range(start if behind else start + 1, total_steps + 1):
                epoch, epoch_ends = step / steps_per_epoch, step % steps_per_epoch == 0
                accuracy = None
                if step > start:
                    state, _ = train(state, sharding.put_batch(next(batches), mesh))
                    log.progress.advance()
                    if epoch_ends or step % config.log_every_steps == 0:
                        means = read_window(state, config, checkpoints)
                        log.train(step, epoch, {**means, "learning_rate": float(schedule(step - 1))})
                        state = state.replace(window=start_window())
                stopping = stop.requested()
                if due(step) and not stopping:
                    test = evaluate_all(evaluate, state.variables, experiment, config.batch_size, stop=stop.requested)
                    if test is None:
                        stopping = True
                    else:
                        log.test(step, epoch, test)
                        accuracy = test["accuracy"]
                if stopping or step == total_steps or (epoch_ends and epoch % config.save_every_epochs == 0):
                    read_window(state, config, checkpoints)  # a state that has diverged is not saved
                    checkpoints.save(state, accuracy)
                if stopping:
                    break
            checkpoints.finish()
            if stopping:
                log.say(f"stopped and saved at step {step} of {total_steps}; the same command goes on from here")
            processes.on_main(lambda: finish(config, workdir, experiment, state, log.progress, complete=not stopping))
        return processes.on_main(lambda: result(workdir, step, steps_per_epoch, complete=not stopping))


def told_divergence(what: str, checkpoints: Checkpoints) -> InputError:
    """The error that ends a run which has diverged."""
    checkpoints.finish()
    workdir, saved = checkpoints.directory.parent, checkpoints.latest_step
    good = "nothing was saved before" if saved is None else f"the last good checkpoint is step {saved}"
    weights = "" if saved is None else f", from these weights by --config.model.init_from={workdir}"
    return InputError(
        f"training has diverged: {what} ({good}, in {workdir}); lower config.optim.learning_rate, or set "
        f"config.optim.clip_norm, and start again in another --workdir{weights}"
    )


def say(text: str) -> None:
    """Prints a line, before there is a progress bar."""
    if processes.is_main():
        print(text, file=sys.stderr, flush=True)


def evaluation_due(config: ConfigDict, steps_per_epoch: int, total_steps: int, step: int) -> bool:
    """Whether the model is evaluated after a step."""
    epoch, over = divmod(step, steps_per_epoch)
    return step == total_steps or (step > 0 and over == 0 and epoch % config.eval_every_epochs == 0)


def is_evaluated(workdir: pathlib.Path, step: int) -> bool:
    """Whether the evaluation after a step is in the records."""
    return any(record["split"] == "test" and record["step"] == step for record in read_metrics(workdir))


def starting_weights(config: ConfigDict, experiment: Experiment, workdir: str | os.PathLike[str]):
    """The weights that a new run starts from; None for freshly initialised ones, and where a checkpoint goes before."""
    if config.model.init_from is None or newest_checkpoint(pathlib.Path(workdir).expanduser()):
        return None
    variables, ranges_missing = read_weights(config.model, experiment.model, experiment.initialise())
    say(f"weights  {config.model.init_from}")
    if ranges_missing:
        say(f"         without tracked value ranges: {ranges_missing} start at [0, 1]")
    return variables


def read_window(state: TrainState, config: ConfigDict, checkpoints: Checkpoints) -> dict[str, float]:
    """Means over the steps since the last log point, fetched from the devices; {} where there are none.

    Raises:
      InputError: training has diverged, with the step, the last good checkpoint and what to do.
    """
    window = {name: value.item() for name, value in jax.device_get(state.window).items()}
    steps, replaced, diverged = (window.pop(name) for name in ("steps", "replaced", "diverged"))
    if not steps:
        return {}
    means = {name: total / steps for name, total in window.items()}
    limit = DIVERGED * math.log(config.data.num_classes)
    if diverged:
        raise told_divergence(f"the loss or its gradient is not finite at step {diverged}", checkpoints)
    if means["loss"] > limit:
        what = f"the loss is {means['loss']:.3g} at step {int(state.step)}, {DIVERGED} times that of guessing and more"
        raise told_divergence(what, checkpoints)
    return means | ({"replaced": replaced} if replaced else {})


def announce(log, config, experiment, state, start: int, total_steps: int, workdir: pathlib.Path) -> None:
    """Says what is about to happen."""
    source, device, devices = experiment.source, jax.devices()[0], jax.device_count()
    log.say(f"data     {source.name}: {len(source.train):,} training and {len(source.test):,} test images")
    if source.split_names != ("train", "test"):
        log.say(f"         from its splits {' and '.join(source.split_names)}")
    for remark in source.remarks:
        log.say(f"         {remark}")
    log.say(
        f"model    {config.model.name}: {count_parameters(state):,} parameters, paths {' + '.join(config.model.paths)}"
    )
    log.say(f"devices  {devices} x {device.device_kind}" + (", parameters divided" if config.shard_parameters else ""))
    if not sharding.groups_stay_on_devices(config.model.statistics_group, config.batch_size, experiment.mesh):
        log.say(
            f"         batch statistics are taken over several devices, which costs communication in every layer; "
            f"config.model.statistics_group={config.batch_size // devices} would keep them on each"
        )
    log.say(f"workdir  {workdir}")
    if start:
        log.say(f"going on from the checkpoint of step {start:,} of {total_steps:,}")
    log.say(f"{total_steps - start:,} steps to go; compiling the first one, which can take a minute")


def count_parameters(state: TrainState) -> int:
    """How many numbers are trained."""
    return sum(p.size for p in jax.tree.leaves(state.params))


def plot_run(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Draws the run's curves so far."""
    records = read_metrics(workdir)
    title = f"{config.model.name} on {config.data.name}"
    write_atomically(workdir / "curves.png", lambda file: plot_curves(records, file, title))


def finish(config, workdir: pathlib.Path, experiment, state: TrainState, progress, *, complete: bool) -> None:
    """Draws the curves, and sums a finished run up."""
    plot_run(config, workdir)
    if complete:
        session = (
            f"last session: {format_duration(progress.seconds)}, {progress.images_per_second:.0f} images/s "
            f"on {jax.device_count()} x {jax.devices()[0].device_kind}, compilation and evaluation included"
        )
        progress.say(write_summary(config, workdir, experiment.source, state, session))


def write_summary(config, workdir: pathlib.Path, source: Source, state: TrainState, *session: str) -> str:
    """Writes the finished run's `summary.txt` and returns it; `session` are lines about its last part."""
    tests = [record for record in read_metrics(workdir) if record["split"] == "test"]
    last, best = tests[-1], max(tests, key=lambda record: record["accuracy"])
    summary = "\n".join([
        f"{config.model.name} on {source.name}: {count_parameters(state):,} parameters, {len(source.classes)} classes",
        f"test accuracy {last['accuracy']:.2%}, loss {last['loss']:.4f}, after {last['epoch']:.0f} epochs "
        f"({last['step']:,} steps) over all {len(source.test):,} test images",
        f"best test accuracy {best['accuracy']:.2%} at epoch {best['epoch']:.0f}",
        *session,
        f"metrics, curves and checkpoints are in {workdir}",
    ])  # fmt: skip
    write_atomically(workdir / SUMMARY, lambda file: file.write_text(summary + "\n"))
    return summary


def report_complete(config, workdir: pathlib.Path, source, like, steps_per_epoch: int, step: int) -> dict[str, Any]:
    """Says that there is nothing left to do; sums the run up, where it was killed before it could."""
    if not (workdir / SUMMARY).exists():
        plot_run(config, workdir)
        write_summary(config, workdir, source, like)
    outcome = result(workdir, step, steps_per_epoch, complete=True)
    print(
        f"the run in {workdir} is complete: {step:,} steps, test accuracy {outcome['test_accuracy']:.2%}\n"
        f"to train it longer: --config.epochs={2 * config.epochs}; to start afresh: another --workdir",
        file=sys.stderr,
    )
    return outcome


def result(workdir: pathlib.Path, step: int, steps_per_epoch: int, *, complete: bool) -> dict[str, Any]:
    """What `train_and_evaluate` returns, from the records on disk."""
    tests = [record for record in read_metrics(workdir) if record["split"] == "test"]
    last = {f"test_{name}": tests[-1][name] if tests else math.nan for name in ("loss", "accuracy")}
    return {"step": step, "epoch": step / steps_per_epoch, "complete": complete, **last}

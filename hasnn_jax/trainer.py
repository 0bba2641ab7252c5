"""The training run, from a config to a summary: the one place that joins the rooms."""

import contextlib
import functools
import math
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from hasnn_jax import data
from hasnn_jax.analysis.curves import plot_curves
from hasnn_jax.assembly import Experiment, build_optimizer, build_schedule, count_steps, read_weights, set_up
from hasnn_jax.config import CONTINUABLE, flatten
from hasnn_jax.data import Source
from hasnn_jax.errors import InputError
from hasnn_jax.evaluation import compile_evaluation, evaluate_all
from hasnn_jax.interop.weights import newest_checkpoint
from hasnn_jax.training import sharding
from hasnn_jax.training.checkpoints import Checkpoints
from hasnn_jax.training.interrupt import StopRequest
from hasnn_jax.training.metrics import MetricWriter, read_metrics
from hasnn_jax.training.progress import Progress, format_duration
from hasnn_jax.training.state import TrainState, create_state
from hasnn_jax.training.steps import train_step
from hasnn_jax.training.workdir import claim_workdir, write_atomically


def train_and_evaluate(config: ConfigDict, workdir: str | os.PathLike[str]) -> dict[str, Any]:
    """Trains the configured model and evaluates it, continuing from the workdir's checkpoint where it has one.

    Args:
      config: see `hasnn_jax.config.default_config`.
      workdir: receives the config, metrics, checkpoints, curves and summary.

    Returns:
      "step", "epoch", and "test_loss" and "test_accuracy" (0..1) of the last evaluation; "complete": whether the
      schedule has been run to its end.

    Raises:
      InputError: bad input, before anything in the workdir is changed; or a loss that is not finite.
    """
    # Everything that the config names, before anything is written.
    experiment = set_up(config)
    model, source, mesh = experiment.model, experiment.source, experiment.mesh
    steps_per_epoch = count_steps(len(source.train), config.batch_size)
    total_steps = config.epochs * steps_per_epoch
    schedule = build_schedule(config, steps_per_epoch)
    optimizer = build_optimizer(config.optim, schedule)
    make_state = functools.partial(create_state, optimizer=optimizer, seed=config.seed)
    weights = starting_weights(config, experiment, workdir)
    workdir = claim_workdir(workdir, flatten(config), CONTINUABLE)

    with Checkpoints(workdir / "checkpoints", config.keep_checkpoints) as checkpoints:
        start = checkpoints.latest_step or 0
        if start >= total_steps:
            return report_complete(config, workdir, start, steps_per_epoch)
        whole = sharding.replicated(mesh)
        if start:
            state = checkpoints.restore(jax.eval_shape(lambda: make_state(experiment.initialise())), whole)
        else:
            state = jax.device_put(make_state(weights or experiment.initialise()), whole)
        train = compile_training(model, optimizer, config.optim.label_smoothing, mesh)
        evaluate = compile_evaluation(model, mesh)
        batches = data.train_batches(
            source.train,
            experiment.preparation,
            batch_size=config.batch_size,
            seed=config.seed,
            start_step=start,
            reading=experiment.reading,
        )
        with (
            contextlib.closing(batches),
            MetricWriter(workdir, from_step=start) as writer,
            Progress(total_steps, start, config.batch_size) as progress,
            StopRequest() as stop,
        ):
            announce(progress, config, source, state, start, total_steps, workdir)
            window: list[dict[str, jax.Array]] = []  # metrics since the last log point, still on the device
            test: dict[str, float] = {}
            replaced = 0
            for step, batch in enumerate(batches, start=start + 1):
                replaced += int(batch.pop("replaced").sum())
                state, metrics = train(state, sharding.put_batch(batch, mesh))
                window.append(metrics)
                progress.advance()
                epoch, epoch_ends, last = step / steps_per_epoch, step % steps_per_epoch == 0, step == total_steps

                if epoch_ends or step % config.log_every_steps == 0:
                    means = mean_metrics(window)
                    require_finite(means["loss"], step, checkpoints.latest_step, workdir)
                    writer.write(step, epoch, "train", {**means, "learning_rate": float(schedule(step - 1))})
                    if last or (epoch_ends and epoch % config.eval_every_epochs == 0):
                        test = evaluate_all(
                            evaluate,
                            state.variables,
                            source.test,
                            experiment.preparation,
                            experiment.reading,
                            config.batch_size,
                            mesh,
                        )
                        writer.write(step, epoch, "test", test)
                    progress.report(describe(means, test, replaced))
                if last or (epoch_ends and epoch % config.save_every_epochs == 0) or stop.requested:
                    checkpoints.save(state)
                if last or stop.requested:
                    break

            plot_run(config, workdir)
            if last:
                progress.say(write_summary(config, workdir, source, state, progress))
            else:
                progress.say(f"stopped and saved at step {step} of {total_steps}; the same command goes on from here")
    return result(workdir, step, steps_per_epoch, complete=last)


def starting_weights(config: ConfigDict, experiment: Experiment, workdir: str | os.PathLike[str]):
    """The weights that a new run starts from; None for freshly initialised ones, and where a checkpoint goes before."""
    if config.model.init_from is None or newest_checkpoint(pathlib.Path(workdir).expanduser()):
        return None
    variables, ranges_missing = read_weights(config.model, experiment.model, experiment.initialise())
    print(f"weights  {config.model.init_from}", file=sys.stderr)
    if ranges_missing:
        print(f"         without tracked value ranges: {ranges_missing} start at [0, 1]", file=sys.stderr)
    return variables


def compile_training(model, optimizer, label_smoothing: float, mesh) -> Callable[..., Any]:
    """The training step over the mesh; it replaces the state in place."""
    whole, divided = sharding.replicated(mesh), sharding.over_batch(mesh)
    step = functools.partial(train_step, apply=model.apply, optimizer=optimizer, label_smoothing=label_smoothing)
    return jax.jit(step, in_shardings=(whole, divided), out_shardings=whole, donate_argnums=0)


def mean_metrics(window: list[dict[str, jax.Array]]) -> dict[str, float]:
    """Means over the steps of a window, fetched from the device; empties the window."""
    fetched = jax.device_get(window)
    window.clear()
    return {name: float(np.mean([metrics[name] for metrics in fetched])) for name in fetched[0]}


def require_finite(loss: float, step: int, saved_step: int | None, workdir: pathlib.Path) -> None:
    """Raises InputError where training has diverged."""
    if not math.isfinite(loss):
        saved = "nothing was saved before" if saved_step is None else f"the last good checkpoint is step {saved_step}"
        raise InputError(
            f"the loss is {loss} at step {step} ({saved}, in {workdir}); lower config.optim.learning_rate, "
            "or set config.optim.clip_norm, and start again in another --workdir"
        )


def describe(train: dict[str, float], test: dict[str, float], replaced: int) -> str:
    """Metrics, and how many images were replaced in this session, as a short text."""
    text = f"loss {train['loss']:.3f}, accuracy {train['accuracy']:.1%}"
    text += f", test {test['accuracy']:.2%}" if test else ""
    text += f" ({test['unreadable']:,} unreadable images left out)" if "unreadable" in test else ""
    return text + (f", {replaced:,} unreadable images replaced" if replaced else "")


def announce(progress, config, source, state, start: int, total_steps: int, workdir: pathlib.Path) -> None:
    """Says what is about to happen."""
    device = jax.devices()[0]
    progress.say(f"data     {source.name}: {len(source.train):,} training and {len(source.test):,} test images")
    if source.split_names != ("train", "test"):
        progress.say(f"         from its splits {' and '.join(source.split_names)}")
    for remark in source.remarks:
        progress.say(f"         {remark}")
    progress.say(
        f"model    {config.model.name}: {count_parameters(state):,} parameters, paths {' + '.join(config.model.paths)}"
    )
    progress.say(f"devices  {jax.device_count()} x {device.device_kind}")
    progress.say(f"workdir  {workdir}")
    if start:
        progress.say(f"going on from the checkpoint of step {start:,} of {total_steps:,}")
    progress.say(f"{total_steps - start:,} steps to go; compiling the first one, which can take a minute")


def count_parameters(state: TrainState) -> int:
    """How many numbers are trained."""
    return sum(p.size for p in jax.tree.leaves(state.params))


def plot_run(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Draws the run's curves so far."""
    records = read_metrics(workdir)
    title = f"{config.model.name} on {config.data.name}"
    write_atomically(workdir / "curves.png", lambda file: plot_curves(records, file, title))


def write_summary(config, workdir: pathlib.Path, source: Source, state: TrainState, progress) -> str:
    """Writes the finished run's `summary.txt` and returns it."""
    tests = [record for record in read_metrics(workdir) if record["split"] == "test"]
    last, best = tests[-1], max(tests, key=lambda record: record["accuracy"])
    summary = "\n".join([
        f"{config.model.name} on {source.name}: {count_parameters(state):,} parameters, {len(source.classes)} classes",
        f"test accuracy {last['accuracy']:.2%}, loss {last['loss']:.4f}, after {last['epoch']:.0f} epochs "
        f"({last['step']:,} steps) over all {len(source.test):,} test images",
        f"best test accuracy {best['accuracy']:.2%} at epoch {best['epoch']:.0f}",
        f"this session: {format_duration(progress.seconds)}, {progress.images_per_second:.0f} images/s "
        f"on {jax.device_count()} x {jax.devices()[0].device_kind}, compilation and evaluation included",
        f"metrics, curves and checkpoints are in {workdir}",
    ])  # fmt: skip
    write_atomically(workdir / "summary.txt", lambda file: file.write_text(summary + "\n"))
    return summary


def report_complete(config, workdir: pathlib.Path, step: int, steps_per_epoch: int) -> dict[str, Any]:
    """Says that there is nothing left to do."""
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

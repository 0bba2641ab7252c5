"""What is said of a run: what is about to happen, how it went, and how it ended."""

import math
import pathlib
import sys
from typing import Any

import jax
from ml_collections import ConfigDict

from hasnn_jax.analysis.curves import plot_curves
from hasnn_jax.assembly import Experiment
from hasnn_jax.training import processes, sharding
from hasnn_jax.training.metrics import read_metrics
from hasnn_jax.training.progress import Progress, format_duration
from hasnn_jax.training.run_log import RunLog
from hasnn_jax.training.state import TrainState
from hasnn_jax.training.timetable import Timetable
from hasnn_jax.training.workdir import write_atomically

SUMMARY = "summary.txt"  # there only while the run is complete


def say(text: str) -> None:
    """Prints a line, before there is a progress bar."""
    if processes.is_main():
        print(text, file=sys.stderr, flush=True)


def announce(log: RunLog, config: ConfigDict, experiment: Experiment, parameters: int, start: int, total: int) -> None:
    """Says what is about to happen.

    Args:
      log: of the run.
      config, experiment: what is trained on what.
      parameters: how many numbers are trained.
      start, total: steps done before, and in the whole run.
    """
    source, device, devices = experiment.source, jax.devices()[0], jax.device_count()
    log.say(f"data     {source.name}: {len(source.train):,} training and {len(source.test):,} test images")
    if source.split_names != ("train", "test"):
        log.say(f"         from its splits {' and '.join(source.split_names)}")
    for remark in source.remarks:
        log.say(f"         {remark}")
    log.say(f"model    {config.model.name}: {parameters:,} parameters, paths {' + '.join(config.model.paths)}")
    log.say(f"devices  {devices} x {device.device_kind}" + (", parameters divided" if config.shard_parameters else ""))
    if not sharding.groups_stay_on_devices(config.model.statistics_group, config.batch_size, experiment.mesh):
        log.say(
            f"         batch statistics are taken over several devices, which costs communication in every layer; "
            f"config.model.statistics_group={config.batch_size // devices} would keep them on each"
        )
    log.say(f"workdir  {log.workdir}")
    if start:
        log.say(f"going on from the checkpoint of step {start:,} of {total:,}")
    log.say(f"{total - start:,} steps to go; compiling the first one, which can take a minute")


def count_parameters(state: TrainState) -> int:
    """How many numbers are trained, of a state or its shapes."""
    return sum(p.size for p in jax.tree.leaves(state.params))


def is_evaluated(workdir: pathlib.Path, step: int) -> bool:
    """Whether the evaluation after a step is in the records."""
    return any(record["step"] == step for record in _evaluations(workdir))


def plot_run(config: ConfigDict, workdir: pathlib.Path) -> None:
    """Draws the run's curves so far."""
    records = read_metrics(workdir)
    title = f"{config.model.name} on {config.data.name}"
    write_atomically(workdir / "curves.png", lambda file: plot_curves(records, file, title))


def session_line(progress: Progress) -> str:
    """How fast the run's last part went."""
    return (
        f"last session: {format_duration(progress.seconds)}, {progress.images_per_second:.0f} images/s "
        f"on {jax.device_count()} x {jax.devices()[0].device_kind}, compilation and evaluation included"
    )


def write_summary(
    config: ConfigDict, workdir: pathlib.Path, experiment: Experiment, parameters: int, *session: str
) -> str:
    """Writes the finished run's `summary.txt` and returns it; `session` are lines about its last part."""
    source, tests = experiment.source, _evaluations(workdir)
    last, best = tests[-1], max(tests, key=lambda record: record["accuracy"])
    summary = "\n".join([
        f"{config.model.name} on {source.name}: {parameters:,} parameters, {len(source.classes)} classes",
        f"test accuracy {last['accuracy']:.2%}, loss {last['loss']:.4f}, after {last['epoch']:.0f} epochs "
        f"({last['step']:,} steps) over all {len(source.test):,} test images",
        f"best test accuracy {best['accuracy']:.2%} at epoch {best['epoch']:.0f}",
        *session,
        f"metrics, curves and checkpoints are in {workdir}",
    ])  # fmt: skip
    write_atomically(workdir / SUMMARY, lambda file: file.write_text(summary + "\n"))
    return summary


def report_complete(config: ConfigDict, workdir: pathlib.Path, experiment: Experiment, parameters: int) -> None:
    """Says that there is nothing left to do; sums the run up, where it was killed before it could."""
    if not (workdir / SUMMARY).exists():
        plot_run(config, workdir)
        write_summary(config, workdir, experiment, parameters)
    last = _evaluations(workdir)[-1]
    say(
        f"the run in {workdir} is complete: {last['step']:,} steps, test accuracy {last['accuracy']:.2%}\n"
        f"to train it longer: --config.epochs={2 * config.epochs}; to start afresh: another --workdir"
    )


def result(workdir: pathlib.Path, step: int, timetable: Timetable, *, complete: bool) -> dict[str, Any]:
    """What `hasnn_jax.trainer.train_and_evaluate` returns after a step, from the records on disk."""
    tests = _evaluations(workdir)
    last = {f"test_{name}": tests[-1][name] if tests else math.nan for name in ("loss", "accuracy")}
    return {"step": step, "epoch": timetable.epoch(step), "complete": complete, **last}


def _evaluations(workdir: pathlib.Path) -> list[dict[str, Any]]:
    return [record for record in read_metrics(workdir) if record["split"] == "test"]

"""What a run reports: at its start, in its curves, and in its summary at the end."""

import dataclasses
import math
import pathlib
from collections.abc import Callable
from typing import Any

import jax
from ml_collections import ConfigDict

from hasnn_jax.analysis.curves import plot_curves
from hasnn_jax.analysis.layer_costs import PATHS, ModelCost
from hasnn_jax.assembly.run_setup import RunSetup
from hasnn_jax.common.console import format_duration, say
from hasnn_jax.common.files import replacing
from hasnn_jax.common.progress import StepProgress
from hasnn_jax.data import Source
from hasnn_jax.runs.metrics import read_metrics
from hasnn_jax.runs.run_log import RunLog
from hasnn_jax.runs.timetable import Timetable
from hasnn_jax.training import sharding
from hasnn_jax.training.state import TrainState

SUMMARY = "summary.txt"  # exists only while the run is complete


@dataclasses.dataclass(frozen=True)
class RunDescription:
    """What a report says a run is.

    Attributes:
      model: its name.
      paths: of the model, "ann" and "snn".
      parameters: how many numbers are trained.
      source: the data set.
      sharded: whether parameters are sharded over the devices.
      suggested_group: a statistics group that would avoid communication in every layer; None where there is none.
    """

    model: str
    paths: tuple[str, ...]
    parameters: int
    source: Source
    sharded: bool
    suggested_group: int | None

    @property
    def title(self) -> str:
        """Model and data set."""
        return f"{self.model} on {self.source.name}"


def describe(config: ConfigDict, setup: RunSetup, state: TrainState) -> RunDescription:
    """The description of a configured run; `state` may be shapes and dtypes only."""
    local = sharding.groups_stay_on_devices(config.model.statistics_group, config.batch_size, setup.mesh)
    return RunDescription(
        config.model.name,
        tuple(config.model.paths),
        sum(p.size for p in jax.tree.leaves(state.params)),
        setup.source,
        config.shard_parameters,
        None if local else config.batch_size // jax.device_count(),
    )


def announce(log: RunLog, about: RunDescription, cost: ModelCost, start: int, total: int) -> None:
    """Says what is about to happen.

    Args:
      log: of the run.
      about: the run.
      cost: of one image.
      start: steps done before.
      total: steps in the whole run.
    """
    source, devices = about.source, f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    log.say(f"data     {source.name}: {len(source.train):,} training and {len(source.test):,} test images")
    if source.split_names != ("train", "test"):
        log.say(f"         from its splits {' and '.join(source.split_names)}")
    for remark in source.remarks:
        log.say(f"         {remark}")
    log.say(f"model    {about.model}: {about.parameters:,} parameters, paths {' + '.join(about.paths)}")
    per_path = ", ".join(f"{cost.macs(path) / 1e6:,.4g} M ({path})" for path in PATHS if cost.macs(path))
    log.say(f"         multiply-accumulates an image, without regard to zeros: {per_path}")
    log.say(f"devices  {devices}" + (", parameters sharded" if about.sharded else ""))
    if about.suggested_group is not None:
        log.say(
            "         batch statistics span several devices, which adds communication to every layer; "
            f"config.model.statistics_group={about.suggested_group} would keep them on each device"
        )
    log.say(f"workdir  {log.workdir}")
    if start:
        log.say(f"resuming from the checkpoint of step {start:,} of {total:,}")
    log.say(
        f"{total - start:,} steps to go; compiling the first can take a minute, unless an earlier start has done it"
    )


def finish(about: RunDescription, workdir: pathlib.Path, log: RunLog, measure: Callable[[], list[str]] | None) -> None:
    """Draws the curves; writes, prints and logs the summary of a complete run.

    Args:
      about: the run.
      workdir: its folder.
      log: of the run.
      measure: returns lines about the trained model for the summary; None: the run is not complete.
    """
    plot_run(about, workdir)
    if measure is not None:
        log.say(write_summary(about, workdir, *measure(), session_line(log.progress)))
        log.summarise(final_values(about, workdir))


def plot_run(about: RunDescription, workdir: pathlib.Path) -> None:
    """Draws the run's curves so far."""
    with replacing(workdir / "curves.png") as temporary:
        plot_curves(read_metrics(workdir), temporary, about.title)


def session_line(progress: StepProgress) -> str:
    """How fast the run was since it was last started."""
    return (
        f"last session: {format_duration(progress.seconds)}, {progress.images_per_second:.0f} images/s "
        f"on {jax.device_count()} x {jax.devices()[0].device_kind}, compilation and evaluation included"
    )


def write_summary(about: RunDescription, workdir: pathlib.Path, *more: str) -> str:
    """Writes the complete run's `summary.txt` and returns its text; `more` are lines for it."""
    source, (last, best) = about.source, last_and_best(workdir)
    summary = "\n".join([
        f"{about.title}: {about.parameters:,} parameters, {len(source.classes)} classes",
        f"test accuracy {last['accuracy']:.2%}, loss {last['loss']:.4f}, after {last['epoch']:.0f} epochs "
        f"({last['step']:,} steps) over all {len(source.test):,} test images",
        f"best test accuracy {best['accuracy']:.2%} at epoch {best['epoch']:.0f}",
        *more,
        f"metrics, curves and checkpoints are in {workdir}",
    ])  # fmt: skip
    with replacing(workdir / SUMMARY) as temporary:
        temporary.write_text(summary + "\n")
    return summary


def final_values(about: RunDescription, workdir: pathlib.Path) -> dict[str, float]:
    """The numbers of a complete run's summary, accuracies from 0 to 1; the epoch and step are those of the last."""
    last, best = last_and_best(workdir)
    return {
        "test_accuracy": last["accuracy"],
        "test_loss": last["loss"],
        "epoch": last["epoch"],
        "step": last["step"],
        "best_test_accuracy": best["accuracy"],
        "best_epoch": best["epoch"],
        "parameters": about.parameters,
    }


def report_complete(about: RunDescription, workdir: pathlib.Path, epochs: int) -> None:
    """Says that nothing is left to do; writes what is missing if the run was killed before its summary."""
    if not (workdir / SUMMARY).exists():
        plot_run(about, workdir)
        write_summary(about, workdir)
    last = evaluations(workdir)[-1]
    say(
        f"the run in {workdir} is complete: {last['step']:,} steps, test accuracy {last['accuracy']:.2%}\n"
        f"to train it longer: --config.epochs={2 * epochs}; to start a new run: another --workdir"
    )


def result(
    workdir: pathlib.Path, step: int, timetable: Timetable, *, complete: bool, asked_to_stop: bool = False
) -> dict[str, Any]:
    """What `train_and_evaluate` returns after a step, from the metrics on disk."""
    tests = evaluations(workdir)
    last = {f"test_{name}": tests[-1][name] if tests else math.nan for name in ("loss", "accuracy")}
    return {"step": step, "epoch": timetable.epoch(step), "complete": complete, "asked_to_stop": asked_to_stop, **last}


def last_and_best(workdir: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The records of the last evaluation and of the first one with the highest accuracy."""
    tests = evaluations(workdir)
    return tests[-1], max(tests, key=lambda record: record["accuracy"])


def is_evaluated(workdir: pathlib.Path, step: int) -> bool:
    """Whether the metrics have the evaluation after a step."""
    return any(record["step"] == step for record in evaluations(workdir))


def evaluations(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """All records of evaluations, oldest first."""
    return [record for record in read_metrics(workdir) if record["split"] == "test"]

"""Runs what an experiment still lacks, one run after the other."""

import datetime
import gc
import pathlib
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from hasnn_jax.checkpoints.folders import CHECKPOINTS, newest_step
from hasnn_jax.common.console import format_duration, say
from hasnn_jax.common.errors import DivergedError, InUseError
from hasnn_jax.common.locks import locked
from hasnn_jax.experiments.claims import require_same_run
from hasnn_jax.experiments.cost import ensure_cost
from hasnn_jax.experiments.folder import RUN_FILE, Status, read_json, read_run, write_json
from hasnn_jax.experiments.machine import describe_machine
from hasnn_jax.experiments.plan import PlannedRun
from hasnn_jax.runs.train import train_and_evaluate


def do_runs(
    runs: Sequence[PlannedRun], *, keep_checkpoints: bool, jobs: int = 1, keep_programs_in: pathlib.Path | None = None
) -> bool:
    """Trains what is not complete. Runs that another process is training are left to it.

    Args:
      runs: of this process, in order.
      keep_checkpoints: whether to keep the checkpoints of runs that are complete; those of runs that were not made here
        are kept in any case.
      jobs: how many processes do these runs, for the time that is left.
      keep_programs_in: folder in which traced programs are kept; see `hasnn_jax.runs.train.train_and_evaluate`.

    Returns:
      False if it was asked to stop before the last run.

    Raises:
      InputError: a run cannot be trained for a reason other than divergence, or its folder holds another run.
    """
    for number, run in enumerate(runs, start=1):
        ended = _status(run)
        if _over(run.folder):
            if ended == "complete":
                _tidy(run, keep_checkpoints)
            continue
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            with locked(run.folder, "in use"):
                pass
            if _status(run) == "complete":
                _take(run, keep_checkpoints)
                continue
            say(f"run {number} of {len(runs)}: {run.name}{_time_left(runs[number - 1 :], jobs)}")
            if not _train(run, keep_programs_in):
                say(f"stopped in run {number} of {len(runs)}; the same command resumes from here")
                return False
        except InUseError:
            say(f"run {number} of {len(runs)}: {run.name} is left to the process that is training it")
            continue
        if _status(run) == "complete":
            _tidy(run, keep_checkpoints)
        jax.clear_caches()  # the programs of a run are no other's
        gc.collect()  # what holds them refers to itself
    return True


def _status(run: PlannedRun) -> Status:
    """How far a run is; InputError if its folder holds another one."""
    found = read_run(run.folder)
    if found is None:
        return "incomplete"
    require_same_run(run.folder, found.config, run.config)
    return found.status


def _train(run: PlannedRun, keep_programs_in: pathlib.Path | None) -> bool:
    """Trains a run, and keeps how it ended in its run.json; False if it was asked to stop, be it too late for that."""
    before = read_json(run.folder / RUN_FILE)
    begun = read_run(run.folder) is not None
    sessions = 1 + (before["sessions"] if before else int(begun))
    about = {
        "status": "running",
        **describe_machine(),
        "date": datetime.date.today().isoformat(),
        "sessions": sessions,
    }
    write_json(run.folder / RUN_FILE, about)
    asked_to_stop = False
    start, began = newest_step(run.folder / CHECKPOINTS) or 0, time.monotonic()
    try:
        outcome = train_and_evaluate(run.config, run.folder, keep_programs_in=keep_programs_in)
    except DivergedError as error:
        say(f"{run.name}: diverged at step {error.step}: {error.what}; the other runs go on")
        ended: dict[str, Any] = {"status": "diverged", "step": error.step, "message": error.what}
    else:
        ended = {"status": "complete" if outcome["complete"] else "interrupted", "step": outcome["step"]}
        asked_to_stop = outcome["asked_to_stop"]
    seconds = time.monotonic() - began
    if ended["status"] == "complete":
        ensure_cost(run.config, run.folder)
    speed = max(ended["step"] - start, 0) * run.config.batch_size / seconds
    write_json(
        run.folder / RUN_FILE,
        {**about, **ended, "seconds": round(seconds, 1), "images_per_second": round(speed, 1)},
    )
    return not asked_to_stop


def _take(run: PlannedRun, keep_checkpoints: bool) -> None:
    """Takes a complete run that nothing says the end of: not made here, or by a process killed at the very end."""
    about = read_json(run.folder / RUN_FILE)
    ensure_cost(run.config, run.folder)
    if about is not None:
        write_json(run.folder / RUN_FILE, {**about, "status": "complete"})
        _tidy(run, keep_checkpoints)


def _tidy(run: PlannedRun, keep_checkpoints: bool) -> None:
    """Measures what a complete run lacks, and deletes its checkpoints."""
    if ensure_cost(run.config, run.folder) and not keep_checkpoints:
        shutil.rmtree(run.folder / CHECKPOINTS, ignore_errors=True)


def _time_left(ahead: Sequence[PlannedRun], jobs: int) -> str:
    """How long so many processes take for the runs ahead, as those that have ended did; "" as long as none has."""
    root = ahead[0].folder.parents[1]
    taken: dict[str, list[float]] = {}
    for file in sorted(root.glob(f"*/seed_*/{RUN_FILE}")):
        about: Mapping[str, Any] = read_json(file) or {}
        if about.get("status") == "complete" and about.get("sessions") == 1 and "seconds" in about:
            taken.setdefault(file.parents[1].name, []).append(about["seconds"])
    return estimate([run.variant.name for run in ahead if not _over(run.folder)], taken, jobs)


def estimate(variants: Sequence[str], taken: Mapping[str, Sequence[float]], jobs: int = 1) -> str:
    """The time left in words.

    Args:
      variants: of the runs ahead.
      taken: seconds of runs that have ended, by variant; a variant without any takes the mean of all.
      jobs: how many processes share the runs.

    Returns:
      "; about 12m30s left", or "" where nothing is known.
    """
    known = [seconds for each in taken.values() for seconds in each]
    if not known:
        return ""
    mean = sum(known) / len(known)
    left = sum(sum(taken[name]) / len(taken[name]) if name in taken else mean for name in variants)
    return f"; about {format_duration(left / jobs)} left"


def _over(folder: pathlib.Path) -> bool:
    """Whether its run.json says that a run has ended."""
    about = read_json(folder / RUN_FILE) or {}
    return about.get("status") in ("complete", "diverged")

"""Kills training runs at random moments, starts them again, and compares them with a run that was left alone.

    python tests/kill_runs.py --kills 50                     # SIGKILL
    python tests/kill_runs.py --kills 50 --signal TERM       # as schedulers ask
    python tests/kill_runs.py --kills 50 --processes 2       # one of two, drawn at random

Weights, optimizer state and metrics file have to be the same to the bit. The moments are drawn over the whole life of a
process: its start, its steps, evaluations, and, for every third kill, the writing of a checkpoint, which it waits for.
What comes out depends on no clock: whatever the moments are, the outcome has to be the same.
"""

import argparse
import collections
import json
import pathlib
import random
import signal
import subprocess
import tempfile
import time

import jax
import numpy as np
import several_processes
from orbax.checkpoint import v1 as ocp

SETTINGS = {
    "model.name": "has8_vgg_b1_m1_d1", "model.stem": "imagenet", "model.statistics_group": 32, "batch_size": 256,
    "log_every_steps": 3, "eval_every_epochs": 2, "optim.average_decay": 0.9,
}  # fmt: skip
DEVICES = {1: 1, 2: 2}  # virtual ones a process, by the number of processes
SURVIVOR_SECONDS = 3  # before it is killed too, as a scheduler does


class Run:
    """A training run in a workdir of its own, in one or more processes."""

    def __init__(self, workdir: pathlib.Path, processes: int, epochs: int):
        self.workdir, self.count, self.epochs = workdir, processes, epochs
        self.alive: list[subprocess.Popen] = []

    def start(self) -> None:
        settings = {**SETTINGS, "epochs": self.epochs}
        with (self.workdir.parent / f"{self.workdir.name}.log").open("a") as log:
            overrides = (f"--config.{key}={value}" for key, value in settings.items())
            self.alive = several_processes.start(
                [several_processes.TESTS / "narrow_train.py", "--workdir", self.workdir, *overrides],
                devices=DEVICES[self.count],
                count=self.count,
                stdout=log,
                stderr=log,
            )

    def ended(self) -> bool:
        return all(process.poll() is not None for process in self.alive)

    def wait(self) -> None:
        """Waits for the end, and expects a good one."""
        codes = [process.wait(timeout=600) for process in self.alive]
        self.alive.clear()
        if any(codes):
            log = (self.workdir.parent / f"{self.workdir.name}.log").read_text()
            raise SystemExit(f"a run that was left alone ended with {codes}:\n{log[-3000:]}")

    def kill(self, victim: int, number: signal.Signals) -> None:
        """Sends a signal to one process; the others end with it, by themselves or as a scheduler ends them."""
        self.alive[victim].send_signal(number)
        if number == signal.SIGTERM:  # all of them save and stop, or have not begun yet and just end
            codes = {process.wait(timeout=600) for process in self.alive}
            self.alive.clear()
            if not codes <= {0, -signal.SIGTERM}:
                raise SystemExit(f"a run that was asked to stop ended with {codes}")
            return
        self.alive[victim].wait()
        for process in self.alive:
            try:
                process.wait(timeout=SURVIVOR_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.alive.clear()

    def saving(self) -> bool:
        return any((self.workdir / "checkpoints").glob("*.orbax-checkpoint-tmp"))

    def phase(self) -> str:
        if self.saving():
            return "while saving"
        if not (self.workdir / "metrics.jsonl").exists():
            return "before the first step"
        return "otherwise"

    def complete(self) -> bool:
        return (self.workdir / "summary.txt").exists()


def outcome(workdir: pathlib.Path) -> dict[str, bytes]:
    """The metrics file, and every array of the last checkpoint."""
    steps = [int(folder.name) for folder in (workdir / "checkpoints").iterdir() if folder.name.isdecimal()]
    path = workdir / "checkpoints" / str(max(steps))
    shapes = ocp.metadata(path).metadata
    state = ocp.load(path, jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), shapes))
    arrays = {jax.tree_util.keystr(name): leaf.tobytes() for name, leaf in jax.tree_util.tree_leaves_with_path(state)}
    return {"metrics.jsonl": (workdir / "metrics.jsonl").read_bytes(), "last step": str(max(steps)).encode(), **arrays}


def require_every_step_once(workdir: pathlib.Path) -> None:
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    for split in ("train", "test"):
        steps = [record["step"] for record in records if record["split"] == split]
        assert steps == sorted(set(steps)), f"{split}: steps {steps}"


def wait_for_the_moment(run: Run, rng: random.Random, longest: float, mid_save: bool) -> None:
    """Until a random moment of a process's life, or of a save; or until it has ended."""
    deadline = time.monotonic() + rng.uniform(0, longest)
    while not run.ended():
        if mid_save and run.saving():
            time.sleep(rng.uniform(0, 0.02))
            return
        if not mid_save and time.monotonic() > deadline:
            return
        time.sleep(0.001)


def main(argv: list[str] | None = None) -> collections.Counter:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--signal", choices=["KILL", "TERM"], default="KILL")
    parser.add_argument("--processes", type=int, choices=sorted(DEVICES), default=1)
    parser.add_argument("--kills_a_run", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    rng = random.Random(arguments.seed)
    number = signal.Signals[f"SIG{arguments.signal}"]
    phases: collections.Counter = collections.Counter()

    with tempfile.TemporaryDirectory() as folder:
        alone = Run(pathlib.Path(folder) / "alone", arguments.processes, arguments.epochs)
        began = time.monotonic()
        alone.start()
        alone.wait()
        life = time.monotonic() - began
        expected = outcome(alone.workdir)
        rounds = 0
        while phases.total() < arguments.kills:
            rounds += 1
            run = Run(pathlib.Path(folder) / f"run{rounds}", arguments.processes, arguments.epochs)
            for _ in range(min(arguments.kills_a_run, arguments.kills - phases.total())):
                began = time.monotonic()
                run.start()
                wait_for_the_moment(run, rng, life, mid_save=rng.random() < 1 / 3)
                if run.ended():
                    run.wait()
                    life = min(life, time.monotonic() - began)  # the first one had to compile
                    break
                phase = run.phase()
                run.kill(rng.randrange(arguments.processes), number)
                phases[phase] += 1
            if not run.complete():
                run.start()
                run.wait()
            require_every_step_once(run.workdir)
            found = outcome(run.workdir)
            different = [name for name in expected if found.get(name) != expected[name]]
            if different or found.keys() != expected.keys():
                raise SystemExit(f"run {rounds} differs from the one left alone in {different}")
            print(f"run {rounds}: the same to the bit after {phases.total()} kills in all {dict(phases)}", flush=True)
    return phases


if __name__ == "__main__":
    main()

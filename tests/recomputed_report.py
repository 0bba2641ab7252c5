"""The numbers of an experiment's report, computed from its files in another way than the package does."""

import json
import pathlib

import numpy as np
from scipy import stats


def lines(run: pathlib.Path, split: str) -> list[dict]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [record for record in records if record["split"] == split]


def complete_runs(root: pathlib.Path) -> dict[str, dict[int, pathlib.Path]]:
    """Folders of complete runs by variant and seed."""
    found: dict[str, dict[int, pathlib.Path]] = {}
    for config in sorted(root.glob("runs/*/*/config.json")):
        run = config.parent
        tests = lines(run, "test")
        about = json.loads((run / "run.json").read_text()) if (run / "run.json").exists() else {}
        epochs = json.loads(config.read_text())["epochs"]
        if about.get("status") != "diverged" and tests and round(tests[-1]["epoch"], 6) == epochs:
            found.setdefault(run.parent.name, {})[int(run.name.split("_")[1])] = run
    return found


def late_loss(run: pathlib.Path) -> float:
    """The training loss of every step, as far as it is logged, averaged over the windows of the last tenth."""
    train = lines(run, "train")
    losses, steps = [], []
    for record in train:
        window = record["step"] - len(losses)
        losses += [record["loss"]] * window
        steps += [record["step"]] * window
    return float(np.mean(np.array(losses)[np.array(steps) > 0.9 * train[-1]["step"]]))


def accuracy(run: pathlib.Path) -> float:
    return lines(run, "test")[-1]["accuracy"]


def interval(ours: dict[int, float], theirs: dict[int, float]) -> tuple[float, float, float] | None:
    """Mean and 95 % interval of the paired differences, by SciPy; None for fewer than two seeds."""
    shared = sorted(set(ours) & set(theirs))
    if len(shared) < 2:
        return None
    test = stats.ttest_rel([ours[s] for s in shared], [theirs[s] for s in shared])
    low, high = test.confidence_interval(0.95)
    return float(np.mean([ours[s] - theirs[s] for s in shared])), float(low), float(high)


def require_recomputable(root: pathlib.Path) -> None:
    """Every number of report.json and of report.md's first table follows from the metrics."""
    report = json.loads((root / "report.json").read_text())
    text = (root / "report.md").read_text()
    runs = complete_runs(root)
    baseline = {seed: accuracy(run) for seed, run in runs.get(report["baseline"], {}).items()}
    for name, said in report["variants"].items():
        found = runs.get(name, {})
        assert {int(seed) for seed in said["runs"]} == set(found)
        for seed, run in found.items():
            numbers = said["runs"][str(seed)]
            assert numbers["accuracy"] == accuracy(run)
            assert numbers["best"] == max(record["accuracy"] for record in lines(run, "test"))
            assert numbers["test_loss"] == lines(run, "test")[-1]["loss"]
            np.testing.assert_allclose(numbers["training_loss"], late_loss(run), rtol=1e-9)
        if not found:
            continue
        accuracies = {seed: accuracy(run) for seed, run in found.items()}
        cell = f"{100 * np.mean(list(accuracies.values())):.2f}"
        if len(found) > 1:
            cell += f" ± {100 * np.std(list(accuracies.values()), ddof=1):.2f}"
        row = next(line for line in text.splitlines() if line.startswith(f"| {name} | {len(found)}"))
        assert f"| {cell} |" in row
        expected = interval(accuracies, baseline) if name != report["baseline"] else None
        if expected is None:
            assert " to " not in row
            assert said["difference"] is None or said["difference"]["low"] is None
            continue
        difference = [said["difference"][key] for key in ("mean", "low", "high")]
        if np.isnan(expected[1:]).any():  # SciPy knows no interval where the differences have no spread
            expected = expected[:1] * 3
        np.testing.assert_allclose(difference, expected, rtol=1e-7, atol=1e-12)
        assert "{:+.2f} points, {:+.2f} to {:+.2f}".format(*(100 * value for value in difference)) in row
        decided = "better" if expected[1] > 0 else "worse" if expected[2] < 0 else "cannot tell"
        assert said["verdict"] == ("cannot tell" if expected[1] == expected[2] else decided)
        assert f"| {said['verdict']} |" in row

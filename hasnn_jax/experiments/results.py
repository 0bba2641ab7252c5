"""From a folder's files to the numbers of the report. Every one of them is a function of these files."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hasnn_jax.experiments.folder import RunFiles, read_runs
from hasnn_jax.experiments.statistics import Difference, Summary, Verdict, paired_difference, summarise, verdict

LAST_SHARE = 0.1  # of the steps, over which the training loss is averaged
COSTS = ("parameters", "macs", "effective_macs", "effective_acs", "spike_rate", "spiking_share")
ENERGIES = ("arithmetic", "with_movement", "quantised", "quantised_with_movement")


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a complete run reached.

    Attributes:
      accuracy: of the last evaluation, 0..1.
      best: the highest accuracy of all evaluations, 0..1, which is chosen after seeing it and so too high.
      test_loss: of the last evaluation.
      training_loss: mean over the steps of the records after 90 % of all steps.
    """

    accuracy: float
    best: float
    test_loss: float
    training_loss: float


@dataclasses.dataclass(frozen=True)
class VariantResult:
    """A variant over its seeds.

    Attributes:
      name, about, overrides: see `Variant`.
      runs: results of complete runs by seed.
      diverged: (seed, step, what was seen) of runs that diverged.
      summaries: mean and spread of each field of `RunResult`; empty without a complete run.
      difference: of the accuracy to the baseline's, where there are seeds in common.
      verdict: what its interval says; None for the baseline.
      cost: means over the runs that have been measured, with the keys of `COSTS` and `ENERGIES`, energies in pJ;
        empty where none has.
    """

    name: str
    about: str
    overrides: Mapping[str, Any]
    runs: Mapping[int, RunResult]
    diverged: tuple[tuple[int, int, str], ...]
    summaries: Mapping[str, Summary]
    difference: Difference | None
    verdict: Verdict | None
    cost: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Results:
    """All that a report says, but for the files' own words.

    Attributes:
      about: of experiment.json.
      variants: those that were asked for or have a run, in the experiment's order.
      missing: (variant, seed) of runs that were asked for and are not there, or not complete.
      planned: how many runs were asked for.
      files: of all runs of these variants.
    """

    about: Mapping[str, Any]
    variants: tuple[VariantResult, ...]
    missing: tuple[tuple[str, int], ...]
    planned: int
    files: tuple[RunFiles, ...]

    @property
    def baseline(self) -> VariantResult | None:
        """The baseline; None if it was neither asked for nor run."""
        return next((each for each in self.variants if each.name == self.about["baseline"]), None)

    def as_dict(self) -> dict[str, Any]:
        """All numbers, for JSON."""
        return {
            "experiment": self.about["experiment"],
            "baseline": self.about["baseline"],
            "planned": self.planned,
            "missing": [list(each) for each in self.missing],
            "variants": {each.name: dataclasses.asdict(each) for each in self.variants},
        }


def read_results(root: pathlib.Path, about: Mapping[str, Any]) -> Results:
    """The results of all runs in a folder.

    Args:
      root: the experiment's folder.
      about: of its experiment.json.

    Raises:
      InputError: a file is damaged.
    """
    files = tuple(run for run in read_runs(root) if run.variant in about["variants"])
    by_variant = {name: [run for run in files if run.variant == name] for name in about["variants"]}
    shown = [name for name in about["variants"] if name in about["asked"] or by_variant[name]]
    accuracies = _accuracies(by_variant.get(about["baseline"], ()))
    ended = {(run.variant, run.seed) for run in files if run.status != "incomplete"}
    planned = [(name, seed) for seed in about["seeds"] for name in about["asked"]]
    return Results(
        about=about,
        variants=tuple(
            _variant(name, about["variants"][name], by_variant[name], None if name == about["baseline"] else accuracies)
            for name in shown
        ),
        missing=tuple(each for each in planned if each not in ended),
        planned=len(planned),
        files=files,
    )


def result_of(run: RunFiles) -> RunResult:
    """What a complete run reached, from its metrics."""
    tests = run.tests
    return RunResult(
        accuracy=tests[-1]["accuracy"],
        best=max(record["accuracy"] for record in tests),
        test_loss=tests[-1]["loss"],
        training_loss=_late_loss(run.metrics),
    )


def _late_loss(metrics: Iterable[Mapping[str, Any]]) -> float:
    """The mean over steps of the training records of the last tenth; a record is the mean since the one before."""
    train = [record for record in metrics if record["split"] == "train"]
    ends = [0, *(record["step"] for record in train)]
    late = [
        (record["loss"], record["step"] - before)
        for record, before in zip(train, ends, strict=False)
        if record["step"] > (1 - LAST_SHARE) * ends[-1]
    ]
    steps = sum(count for _, count in late)
    return math.fsum(loss * count for loss, count in late) / steps if steps else math.nan


def _accuracies(runs: Iterable[RunFiles]) -> dict[int, float]:
    return {run.seed: result_of(run).accuracy for run in runs if run.status == "complete"}


def _variant(
    name: str, said: Mapping[str, Any], runs: Sequence[RunFiles], baseline: Mapping[int, float] | None
) -> VariantResult:
    complete = {run.seed: result_of(run) for run in runs if run.status == "complete"}
    fields = [field.name for field in dataclasses.fields(RunResult)]
    summaries = {each: summarise(getattr(result, each) for result in complete.values()) for each in fields}
    difference = None
    if baseline is not None:
        difference = paired_difference({seed: result.accuracy for seed, result in complete.items()}, baseline)
    return VariantResult(
        name=name,
        about=said["about"],
        overrides=said["overrides"],
        runs=complete,
        diverged=tuple(_divergence(run) for run in runs if run.status == "diverged"),
        summaries={each: summary for each, summary in summaries.items() if summary is not None},
        difference=difference,
        verdict=None if baseline is None else verdict(difference),
        cost=_mean_cost([run.cost for run in runs if run.status == "complete" and run.cost is not None]),
    )


def _divergence(run: RunFiles) -> tuple[int, int, str]:
    assert run.about is not None  # its status is from there
    return run.seed, run.about["step"], run.about["message"]


def _mean_cost(costs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    flat = [{**{key: cost.get(key) for key in COSTS}, **cost["energy_pj"]} for cost in costs]
    means = {}
    for key in (*COSTS, *ENERGIES):
        values = [each[key] for each in flat if each[key] is not None]  # an older run's cost has no spiking share
        if values:
            means[key] = math.fsum(values) / len(values)
    return means

"""The report of an experiment as Markdown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hasnn_jax.experiments.folder import RunFiles
from hasnn_jax.experiments.outcome import difference_text, outcome
from hasnn_jax.experiments.results import ENERGIES, Results, VariantResult
from hasnn_jax.experiments.statistics import Summary

CURVES, TRADEOFF = "curves.png", "tradeoff.png"
_NUMBER = re.compile(r"[-+]?[\d.,]*( ± [\d.]+)?")
TIMINGS = "## Timings"  # from here on two runs of one experiment may differ


def report_text(results: Results) -> str:
    """The whole report. The same files give the same text."""
    about = results.about
    short = " Models are narrow and training is short (`--short`): not a statement on trained networks."
    parts = [
        f"# {about['experiment']}",
        about["question"] + (short if about["short"] else ""),
        _trained(about["base"]),
        "## Outcome",
        outcome(results),
        *([about["context"]] if about["context"] else []),
        "## Accuracy",
        _accuracies(results),
        "Accuracy is that of the last evaluation, in %, mean ± standard deviation over seeds. The difference to the "
        f"baseline, {about['baseline']}, is taken seed by seed, with the 95 % interval of its mean by Student's t. The "
        "best accuracy is the highest of all evaluations of a run, chosen after seeing it. The training loss is the "
        "mean over the last tenth of the steps.",
        f"![Accuracy and loss over epochs]({CURVES})",
        *_costs(results),
        "## Runs",
        _runs(results),
        *_missing(results),
        "## Settings",
        *_settings(about),
        "## Versions and machines",
        _machines(results.files),
        TIMINGS,
        _timings(results.files),
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; columns of numbers are aligned to the right."""
    listed = list(rows)
    numeric = [all(_NUMBER.fullmatch(row[i]) for row in listed) for i in range(len(header))]
    lines = [header, ["---:" if each else "---" for each in numeric], *listed]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _trained(base: Mapping[str, Any]) -> str:
    epochs = "1 epoch" if base["epochs"] == 1 else f"{base['epochs']} epochs"
    return (
        f"Unless a variant says otherwise: `{base['model.name']}`, images of `{base['data.name']}` at "
        f"{base['data.image_size']} pixels, {epochs}, batches of {base['batch_size']}."
    )


def _accuracies(results: Results) -> str:
    header = ("variant", "seeds", "accuracy, %", "difference and interval", "outcome", "best, %", "training loss")
    rows = []
    for each in results.variants:
        of = each.summaries
        rows.append((
            each.name,
            str(len(each.runs)) + (f", {len(each.diverged)} diverged" if each.diverged else ""),
            _mean(of.get("accuracy"), 100, 2),
            _difference(each, results),
            _verdict(each, results),
            _mean(of.get("best"), 100, 2),
            _mean(of.get("training_loss"), 1, 4),
        ))  # fmt: skip
    return markdown_table(header, rows)


def _mean(summary: Summary | None, scale: float, digits: int) -> str:
    if summary is None:
        return ""
    spread = "" if summary.deviation is None else f" ± {scale * summary.deviation:.{digits}f}"
    return f"{scale * summary.mean:.{digits}f}{spread}"


def _difference(variant: VariantResult, results: Results) -> str:
    if variant.name == results.about["baseline"]:
        return "baseline"
    return "" if variant.difference is None else difference_text(variant.difference)


def _verdict(variant: VariantResult, results: Results) -> str:
    if not variant.runs:
        return "diverged" if variant.diverged else "not run"
    return variant.verdict or ""


def _costs(results: Results) -> list[str]:
    measured = [each for each in results.variants if each.cost]
    if not measured:
        return []
    header = (
        "variant", "parameters", "dense MACs, M", "effective MACs, M", "effective ACs, M", "spike rate, %",
        "spiking share, %", "arithmetic, uJ", "with data movement, uJ", "8-bit dense, uJ",
        "8-bit dense with movement, uJ",
    )  # fmt: skip
    rows = [[each.name, *_cost_cells(each.cost)] for each in measured]
    lines = [
        "## Cost of an image",
        markdown_table(header, rows),
        f"Means over seeds, measured on {_images(results)} test images. The spiking share is the mean over blocks of "
        "S / (A + S), where S and A are the root mean squares of what the spiking path adds and of the ANN path's "
        "output: 0 if the spiking path adds nothing, 50 % if both are of one size. Energies are estimates from counted "
        "operations, not measurements; `hasnn_jax/analysis/energy.py` has the model.",
    ]
    if results.about["tradeoff"]:
        lines.append(f"![Accuracy against operations, energy and parameters]({TRADEOFF})")
    return lines


def _images(results: Results) -> str:
    counts = sorted({run.cost["images"] for run in results.files if run.cost is not None})
    return " or ".join(map(str, counts))


def _cost_cells(cost: Mapping[str, float]) -> list[str]:
    millions = (f"{cost[key] / 1e6:,.4g}" for key in ("macs", "effective_macs", "effective_acs"))
    shares = (f"{100 * cost[key]:.1f}" if key in cost else "" for key in ("spike_rate", "spiking_share"))
    return [f"{cost['parameters']:,.0f}", *millions, *shares, *(f"{cost[key] / 1e6:,.4g}" for key in ENERGIES)]


def _runs(results: Results) -> str:
    rows = []
    for each in results.variants:
        for seed, run in sorted(each.runs.items()):
            numbers = (f"{100 * run.accuracy:.2f}", f"{100 * run.best:.2f}", f"{run.test_loss:.4f}")
            rows.append((f"{each.name}, seed {seed}", *numbers, f"{run.training_loss:.4f}"))
        rows += [(f"{each.name}, seed {s}", f"diverged at step {step}: {what}", "", "", "")
                 for s, step, what in each.diverged]  # fmt: skip
    return markdown_table(("run", "accuracy, %", "best, %", "test loss", "training loss"), rows)


def _missing(results: Results) -> list[str]:
    if not results.missing:
        return []
    listed = "; ".join(f"{name}, seed {seed}" for name, seed in results.missing)
    return [f"{len(results.missing)} of {results.planned} runs are missing: {listed}."]


def _settings(about: Mapping[str, Any]) -> list[str]:
    rows = [(name, said["about"], _listed(said["overrides"])) for name, said in about["variants"].items()]
    return [
        "The exact configs are in `runs/VARIANT/seed_SEED/config.json`. All runs differ from the defaults in: "
        f"{_listed(about['changed']) or 'nothing'}.",
        markdown_table(("variant", "what it is", "overrides"), rows),
    ]


def _listed(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"`{key}={value}`" for key, value in settings.items())


def _machines(files: Sequence[RunFiles]) -> str:
    counts: dict[tuple[str, ...], int] = {}
    for run in files:
        about = run.about or {}
        versions = ", ".join(f"{name} {version}" for name, version in about.get("versions", {}).items())
        where = f"{about['devices']}, {about['processor']}, {about['cores']} cores" if "devices" in about else ""
        key = tuple(text or "not recorded" for text in (versions, about.get("commit") or "", where))
        counts[key] = counts.get(key, 0) + 1
    rows = [(str(count), *key) for key, count in sorted(counts.items())]
    return markdown_table(("runs", "versions", "commit", "machine"), rows)


def _timings(files: Sequence[RunFiles]) -> str:
    rows = []
    for run in files:
        about = run.about or {}
        numbers = (f"{about['seconds']:,.0f}", f"{about['images_per_second']:,.0f}") if "seconds" in about else ("", "")
        rows.append(
            (f"{run.variant}, seed {run.seed}", *numbers, str(about.get("sessions", "")), about.get("date", ""))
        )
    note = "Of a run's last session, with compilation, evaluation and measuring; a session ends with a kill or a stop."
    return f"{note}\n\n" + markdown_table(("run", "seconds", "images/s", "sessions", "date"), rows)

"""Writes and publishes an experiment's report. It depends on the folder's small files alone."""

import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from hasnn_jax.analysis.experiment_plots import Curve, Point, plot_curves_of_variants, plot_tradeoff
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.files import replacing
from hasnn_jax.common.locks import locked
from hasnn_jax.config import default_config, flatten
from hasnn_jax.experiments.claims import PER_MACHINE
from hasnn_jax.experiments.folder import EXPERIMENT_FILE, SMALL_FILES, read_json, run_folder, write_json
from hasnn_jax.experiments.report_text import CURVES, TRADEOFF, report_text
from hasnn_jax.experiments.results import Results, read_results
from hasnn_jax.runs.workdir import as_read_back

REPORT, NUMBERS = "report.md", "report.json"


def compute_report(root: pathlib.Path) -> tuple[Results, str]:
    """The numbers and the text of the report, from a folder's small files; nothing is written.

    Raises:
      InputError: the folder has no experiment.json, or a file is damaged.
    """
    about = read_json(root / EXPERIMENT_FILE)
    if about is None:
        raise InputError(f"{root}: holds no {EXPERIMENT_FILE}; name the folder of an experiment")
    results = read_results(root, about)
    return results, report_text(results)


def write_report(root: pathlib.Path) -> pathlib.Path:
    """Writes report.md, report.json and the pictures; returns the path of the first.

    Raises:
      InputError: see `compute_report`.
    """
    with locked(root):  # several processes may end at the same time
        results, text = compute_report(root)
        write_json(root / NUMBERS, results.as_dict())
        _draw(root, results)
        with replacing(root / REPORT) as temporary:
            temporary.write_text(text)
    return root / REPORT


def publish(root: pathlib.Path, to: pathlib.Path) -> None:
    """Copies an experiment's small files and its report, which is written anew, to a folder.

    Where a machine kept its data is left out of the configs.

    Raises:
      InputError: the folder exists, or there is nothing to publish.
    """
    if to.exists():
        raise InputError(f"--publish {to}: exists already; name a new folder")
    results, _ = compute_report(root)
    if not any(each.runs for each in results.variants):
        raise InputError(f"workdir {root}: has no complete run to publish")
    to.parent.mkdir(parents=True, exist_ok=True)
    with replacing(to) as temporary:
        for run in results.files:
            folder, copy = (run_folder(place, run.variant, run.seed) for place in (root, temporary))
            copy.mkdir(parents=True)
            for name in SMALL_FILES:
                if (folder / name).is_file():
                    shutil.copyfile(folder / name, copy / name)
            write_json(copy / SMALL_FILES[0], _anywhere(run.config))
        write_json(temporary / EXPERIMENT_FILE, {**results.about, "base": _anywhere(results.about["base"])})
        write_report(temporary)


def _anywhere(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A flat config without what belongs to the machine."""
    defaults = flatten(default_config())
    return as_read_back({key: defaults[key] if key in PER_MACHINE else settings[key] for key in settings})


def _draw(root: pathlib.Path, results: Results) -> None:
    complete = {(run.variant, run.seed): run for run in results.files if run.status == "complete"}
    curves = [
        Curve(each.name, [complete[each.name, seed].metrics for seed in sorted(each.runs)])
        for each in results.variants
        if each.runs
    ]
    with replacing(root / CURVES) as temporary:
        plot_curves_of_variants(curves, temporary, results.about["experiment"])
    if not results.about["tradeoff"]:
        return
    points = [
        Point(
            each.name,
            each.summaries["accuracy"].mean,
            each.summaries["accuracy"].deviation,
            {
                "dense multiply-accumulates": each.cost["macs"],
                "effective operations": each.cost["effective_macs"] + each.cost["effective_acs"],
                "parameters": each.cost["parameters"],
                "estimated energy of arithmetic, uJ": each.cost["arithmetic"] / 1e6,
                "estimated energy with data movement, uJ": each.cost["with_movement"] / 1e6,
                "the same, as an 8-bit dense network, uJ": each.cost["quantised_with_movement"] / 1e6,
            },
        )
        for each in results.variants
        if each.cost
    ]
    with replacing(root / TRADEOFF) as temporary:
        plot_tradeoff(points, temporary, results.about["experiment"])

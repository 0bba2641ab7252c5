"""What a run measures of its trained model for the summary: spikes, effective operations, energy."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from hasnn_jax.analysis.activity import measure_activity
from hasnn_jax.analysis.layer_costs import ModelCost, model_cost
from hasnn_jax.analysis.report import Report
from hasnn_jax.analysis.report_text import summarise
from hasnn_jax.assembly.data import spread_batches
from hasnn_jax.assembly.model import without_groups
from hasnn_jax.assembly.run_setup import RunSetup
from hasnn_jax.common.errors import first_line
from hasnn_jax.common.files import replacing
from hasnn_jax.training.steps import unit_images

COST_FILE = "cost.json"
IMAGES = 64
CHUNK = 16  # of them at a time


def cost_of_image(setup: RunSetup) -> ModelCost:
    """What an image costs the run's model before any zero is known."""
    image_shape = setup.preprocessing.image_shape(setup.source.train[0])
    return setup.programs.remember("model_cost", lambda: model_cost(setup.model, image_shape))


def measured_lines(setup: RunSetup, variables: Mapping[str, Any], workdir: pathlib.Path) -> list[str]:
    """Lines for the summary, measured by `measure` and kept in the workdir's `cost.json`.

    It comes after training, which has saved everything, and must not spoil it: what goes wrong is one of the lines.

    Args:
      setup: of the run.
      variables: the trained model's, as NumPy arrays.
      workdir: of the run.
    """
    try:
        report = measure(setup, variables)
        keep_cost(report, workdir)
        return summarise(report)
    except Exception as error:  # whatever it is: the run is complete, and its other results are to be written
        return [f"spikes and operations could not be measured ({first_line(error)})"]


def measure(setup: RunSetup, variables: Mapping[str, Any]) -> Report:
    """Operations, spikes and energy on a few test images, measured by this process alone, on one device.

    Raises:
      InputError: there is no test image.
    """
    batches = spread_batches(setup.source.test, setup.preprocessing, IMAGES, CHUNK)
    activity = measure_activity(without_groups(setup.model), variables, (unit_images(pixels) for pixels, _ in batches))
    return Report(cost_of_image(setup), activity)


def keep_cost(report: Report, workdir: pathlib.Path) -> None:
    """Writes the sums over all layers and neurons to the workdir's `cost.json`.

    Counts are for one image and energies in pJ for one image. "spike_rate" is the mean over all spiking neurons and
    time steps; without such neurons it is null. "spiking_share" is `Activity.spiking_share`.
    """
    total, neurons = report.totals(), report.activity.neurons.values()
    size = sum(each.size for each in neurons)
    values = {
        "images": report.activity.images,
        "parameters": report.cost.parameters,
        "macs": total.macs,
        "effective_macs": total.effective_macs,
        "effective_acs": total.effective_acs,
        "spike_rate": sum(each.rate * each.size for each in neurons) / size if size else None,
        "spiking_share": report.activity.spiking_share,
        "energy_pj": dataclasses.asdict(total.energy),
    }
    with replacing(workdir / COST_FILE) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n")

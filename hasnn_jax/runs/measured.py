"""What a run measures of its trained model for the summary: spikes, effective operations, energy."""

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
from hasnn_jax.training.steps import unit_images

IMAGES = 64
CHUNK = 16  # of them at a time


def cost_of_image(setup: RunSetup) -> ModelCost:
    """What an image costs the run's model before any zero is known."""
    return model_cost(setup.model, setup.preprocessing.image_shape(setup.source.train[0]))


def measured_lines(setup: RunSetup, variables: Mapping[str, Any]) -> list[str]:
    """Lines for the summary, measured on a few test images by this process alone, on one device.

    It comes after training, which has saved everything, and must not spoil it: what goes wrong is one of the lines.

    Args:
      setup: of the run.
      variables: the trained model's, as NumPy arrays.
    """
    try:
        batches = spread_batches(setup.source.test, setup.preprocessing, IMAGES, CHUNK)
        activity = measure_activity(
            without_groups(setup.model), variables, (unit_images(pixels) for pixels, _ in batches)
        )
        return summarise(Report(cost_of_image(setup), activity))
    except Exception as error:  # whatever it is: the run is complete, and its other results are to be written
        return [f"spikes and operations could not be measured ({first_line(error)})"]

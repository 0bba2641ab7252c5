"""What a finished run's model costs, where the run itself has not measured it."""

import pathlib

import jax
from ml_collections import ConfigDict

from hasnn_jax.assembly.model import all_of_weights, read_weights
from hasnn_jax.assembly.run_setup import set_up
from hasnn_jax.checkpoints.folders import newest_checkpoint
from hasnn_jax.common.console import say
from hasnn_jax.common.errors import first_line
from hasnn_jax.runs.measured import COST_FILE, keep_cost, measure


def ensure_cost(config: ConfigDict, folder: pathlib.Path) -> bool:
    """Measures a complete run from its checkpoint if its `cost.json` is missing; whether the file is there then.

    What goes wrong is said in a line and is no error: the run is complete without it.
    """
    if (folder / COST_FILE).is_file():
        return True
    if newest_checkpoint(folder) is None:
        return False
    try:
        setup = set_up(config)
        settings = all_of_weights(config.model)
        settings.init_from = str(folder)
        variables, _ = read_weights(settings, setup.model, setup.shapes)
        keep_cost(measure(setup, jax.device_get(variables)), folder)
    except Exception as error:  # whatever it is: the other runs are to go on
        say(f"{folder}: spikes and operations could not be measured ({first_line(error)})")
        return False
    return True

"""What the summary of a run says of spikes, operations and energy."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from tiny_models import drawn_variables
from tiny_runs import tiny_config

from hasnn_jax.analysis.activity import Activity, Operations, Spikes, Terms
from hasnn_jax.analysis.layer_costs import LayerCost, ModelCost
from hasnn_jax.analysis.report import Report
from hasnn_jax.analysis.report_text import summarise
from hasnn_jax.assembly.run_setup import set_up
from hasnn_jax.runs.measured import COST_FILE, cost_of_image, measured_lines


@pytest.fixture(scope="module")
def setup():
    return set_up(tiny_config(model__paths=("ann",), model__statistics_group=64))


def report_of(neurons):
    costs = [
        LayerCost(name, False, 1, 10, 5, 2, macs, macs) for name, macs in (("ann/conv", 3_000_000), ("head", 10**6))
    ]
    layers = {"ann/conv": Operations((0,), (2_000_000,)), "head": Operations((4_000_000,), (0,))}  # of two images
    return Report(ModelCost(tuple(costs), 20), Activity(2, layers, neurons, {}))


def test_the_lines_are_sums_over_all_layers_and_neurons():
    neurons = {"a": Spikes(30, (0.5, 0.3), dead=3, saturated=1), "b": Spikes(10, (0.0, 0.0), dead=9, saturated=0)}
    spikes, operations, energy = summarise(report_of(neurons))

    assert spikes == "spike rate 30.0%; 30.0% of 40 neurons never fire, 2.5% always; measured on 2 test images"
    assert operations == "operations an image: 2 M ACs and 1 M MACs, 75.0% of 4 M dense MACs"
    assert energy.startswith("estimated uJ an image: arithmetic 6.4, with data movement ")  # 4.6 of MACs, 1.8 of ACs
    assert ", 8-bit dense 1.2, " in energy


def test_the_spiking_paths_share_is_the_mean_over_blocks_that_have_both():
    report = report_of({"a": Spikes(30, (0.5, 0.3), dead=3, saturated=1)})
    blocks = {"block1": Terms(3.0, 1.0), "block2": Terms(1.0, 0.0)}
    report = dataclasses.replace(report, activity=dataclasses.replace(report.activity, blocks=blocks))

    assert "; 12.5% of the blocks' sums are the spiking path's; measured on" in summarise(report)[0]


def test_without_a_spiking_path_the_lines_say_what_applies():
    operations, energy = summarise(report_of({}))

    assert operations.endswith("of 4 M dense MACs; measured on 2 test images")
    assert energy.startswith("estimated uJ an image: ")


def test_a_runs_model_is_measured_on_its_test_images_whatever_its_statistics_group(setup, tmp_path):
    images = jax.ShapeDtypeStruct((1, 8, 8, 1), np.float32)
    variables = jax.device_get(drawn_variables(setup.model, images))
    lines = measured_lines(setup, variables, tmp_path)
    kept = json.loads((tmp_path / COST_FILE).read_bytes())

    assert lines[0].endswith("; measured on 64 test images")
    assert f"of {cost_of_image(setup).macs() / 1e6:,.4g} M dense MACs" in lines[0]
    assert (kept["images"], kept["macs"]) == (64, cost_of_image(setup).macs())
    assert (kept["spike_rate"], kept["spiking_share"]) == (None, None)
    assert f"arithmetic {kept['energy_pj']['arithmetic'] / 1e6:,.4g}" in lines[1]


def test_what_goes_wrong_is_a_line_and_not_an_error(setup, tmp_path):
    broken = dataclasses.replace(setup, source=dataclasses.replace(setup.source, test=()))

    assert measured_lines(broken, {}, tmp_path) == [
        "spikes and operations could not be measured (no images to measure: expected at least one)"
    ]

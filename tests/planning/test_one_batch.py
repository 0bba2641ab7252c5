"""A plan for the devices of this machine, by a real compiler."""

import dataclasses

import jax
import pytest
from known_costs import one_device
from tiny_runs import tiny_config

from hasnn_jax.assembly.model import build_model, initial_variables
from hasnn_jax.common.errors import InputError
from hasnn_jax.planning.devices import find_target
from hasnn_jax.planning.one_batch import plan
from hasnn_jax.planning.plan_text import describe


@pytest.mark.slow
def test_plan_for_the_devices_of_this_machine(tmp_path):
    config = tiny_config()
    target = find_target("local")
    found = plan(config, target, cache=tmp_path, say=pytest.fail)
    shapes = jax.eval_shape(lambda: initial_variables(build_model(config.model, config.data.num_classes), (8, 8, 1), 0))
    parameters = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes["params"]))
    cost = found.outcome.cost
    assert cost.flops > 0
    assert cost.bytes_accessed > 0
    assert cost.memory.arguments >= 3 * parameters  # Adam has two moments
    assert found.needed >= cost.memory.arguments
    assert cost.collectives == ()
    assert (found.fits, found.seconds, found.days) == (None, None, None)
    assert (found.workload.examples, found.workload.steps, found.cached) == (1438, 10, False)
    text = describe(found)
    assert "no estimate: the compiler for this device makes none" in text
    assert "the device does not report how much memory it has" in text
    assert plan(config, target, cache=tmp_path, say=pytest.fail) == dataclasses.replace(found, cached=True)


def test_bad_config_is_refused_before_anything_is_compiled(tmp_path):
    for changes, message in (
        ({"batch_size": 0}, "config.batch_size: expected a whole number"),
        ({"batch_size": 2048}, "2048 images are more than the 1,438 there are"),
        ({"model__name": "has9"}, "unknown model 'has9'"),
    ):
        with pytest.raises(InputError, match=message):
            plan(tiny_config(**changes), one_device(), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []

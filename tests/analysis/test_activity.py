"""Spike rates, dead and saturated neurons and operations that are measured over batches of images."""

import jax.numpy as jnp
import numpy as np
import pytest
from handmade_model import ONE, OneLayer, small_resnet
from tiny_models import drawn_variables, random_images, tiny_vgg

import hasnn_jax
from hasnn_jax.analysis.activity import Operations, Spikes, Terms, measure_activity
from hasnn_jax.analysis.layer_costs import model_cost, path_of
from hasnn_jax.common.errors import InputError
from hasnn_jax.inference.block_outputs import block_outputs


def grey(values):
    """One image [1, 1, W, 1] of these grey levels."""
    return jnp.asarray(values, jnp.float32).reshape(1, 1, -1, 1) / 255


def test_rates_dead_and_saturated_neurons_worked_out_by_hand():
    images = [grey([0, 255, 128, 255]), grey([0, 255, 0, 1])]  # dead, saturated, neither, neither
    activity = measure_activity(OneLayer(), ONE, images)
    expected = Spikes(size=4, rates=(4 / 8, *[3 / 8] * 6, 4 / 8), dead=1, saturated=1)

    assert activity.images == 2
    assert activity.encoders == {"encoder": expected}
    assert activity.neurons == {"conv": expected}  # the kernel is 1: a spike in, a spike out
    assert expected.rate == 26 / 64


def test_operations_worked_out_by_hand():
    activity = measure_activity(OneLayer(), ONE, [grey([0, 255, 128, 255]), grey([0, 255, 0, 1])])

    assert activity.layers == {"conv": Operations(acs=(4, 3, 3, 3, 3, 3, 3, 4), macs=(0,) * 8)}
    assert activity.layers["conv"].synaptic == 26


def test_a_fractional_plane_costs_macs_in_its_own_step_only():
    model = OneLayer(layers=hasnn_jax.models.LayerFactory(spiking=hasnn_jax.spiking_spec(lowest_plane="fractional")))
    activity = measure_activity(model, ONE, [grey([0, 255, 128, 192.5])])

    assert activity.layers["conv"].acs == (3, 2, 1, 1, 1, 1, 1, 0)
    assert activity.layers["conv"].macs == (0,) * 7 + (2,)


@pytest.mark.slow
def test_the_batch_size_changes_nothing():
    model, images = small_resnet(), random_images(batch=4)
    variables = drawn_variables(model, images)
    at_once = measure_activity(model, variables, [images])

    assert measure_activity(model, variables, [images[:2], images[2:2], images[2:]]) == at_once
    assert any(spikes.dead for spikes in at_once.neurons.values())


@pytest.mark.slow
def test_the_terms_of_a_block_are_those_that_features_show():
    model, images = small_resnet(), random_images(batch=4)
    variables = drawn_variables(model, images)
    outputs = block_outputs(model, variables, images)
    blocks = measure_activity(model, variables, [images[:1], images[1:]]).blocks

    assert list(blocks) == ["stem", "stage1_block1"]
    for name, terms in blocks.items():
        for part in ("ann", "snn"):
            expected = np.sqrt(np.mean(np.square(outputs[f"{name}/{part}"])))
            np.testing.assert_allclose(getattr(terms, part), expected, rtol=1e-4)


def test_a_path_that_adds_nothing_has_no_share():
    assert Terms(0.0, 0.0).share == Terms(2.0, 0.0).share == 0
    assert Terms(2.0, 2.0).share == 0.5


@pytest.mark.parametrize("paths", [("ann",), ("snn",)])
def test_only_what_is_there_is_measured(paths):
    model, images = small_resnet(paths), random_images(batch=2)
    activity = measure_activity(model, drawn_variables(model, images), [images])

    assert {path_of(name) for name in activity.layers} == {*paths, "shared"}
    assert bool(activity.neurons) == bool(activity.encoders) == (paths == ("snn",))
    assert not activity.blocks
    assert activity.spiking_share is None


@pytest.mark.slow
def test_a_layers_operations_are_its_measured_input_times_its_fan_out():
    # A linear layer meets every spike once for each of its features.
    model, images = tiny_vgg(), random_images(batch=2)
    activity = measure_activity(model, drawn_variables(model, images), [images])
    first, second = activity.neurons["head/snn/dense1"], activity.layers["head/snn/dense2"]

    assert second.acs == tuple(round(rate * first.size * 2) * 512 for rate in first.rates)
    assert sum(second.macs) == 0


def test_everything_is_in_the_order_of_the_calls():
    model, images = small_resnet(), random_images(batch=2)
    activity = measure_activity(model, drawn_variables(model, images), [images])

    assert list(activity.layers) == [layer.name for layer in model_cost(model, (8, 8, 3)).layers]
    assert list(activity.encoders) == ["stem/encoder", "stage1_block1/encoder"]
    assert list(activity.neurons) == [name for name in activity.layers if "/snn/" in name]


@pytest.mark.slow
def test_the_ann_path_has_macs_in_one_step():
    model, images = tiny_vgg(), random_images(batch=2)
    first = measure_activity(model, drawn_variables(model, images), [images]).layers["block1/ann/conv"]

    assert (first.acs, len(first.macs)) == ((0,), 1)
    assert first.macs[0] == 2 * 9 * 22**2  # every pixel is above 0; 3 * 8 - 2 taps on values along each axis


def test_no_images_are_refused():
    with pytest.raises(InputError, match="no images"):
        measure_activity(OneLayer(), ONE, [np.zeros((0, 1, 4, 1), np.float32)])

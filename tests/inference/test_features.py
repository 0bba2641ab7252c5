"""What blocks compute, and the spiking layers inside them: named as in Flax, and the numbers that the network uses."""

import functools

import jax
import numpy as np
import pytest
from small_weights import byte_images, save_small_weights
from tiny_models import drawn_variables, random_images, tiny_resnet

import hasnn_jax
from hasnn_jax.inference.block_outputs import block_outputs
from hasnn_jax.models.pooling import average_pool


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return hasnn_jax.load(save_small_weights(tmp_path_factory.mktemp("weights") / "weights"))


@pytest.fixture(scope="module")
def features(model):
    return model.features(byte_images(2), layers=True)


@pytest.fixture(scope="module")
def residual():
    """An untrained ResNet of LIF neurons, and its features in the order of the alphabet."""
    model = tiny_resnet(spiking=hasnn_jax.spiking_spec(neuron="lif"))
    images = random_images(1)
    return model, jax.jit(functools.partial(block_outputs, model, layers=True))(drawn_variables(model, images), images)


def layers_of(features):
    return [name.removesuffix("/currents") for name in features if name.endswith("/currents")]


def test_every_spiking_layer_is_named_in_the_order_of_the_network(features):
    assert layers_of(features) == [
        "block1/snn/norm", "block2/snn/norm", "head/snn/dense1", "head/snn/dense2", "head/snn/dense3"
    ]  # fmt: skip


def test_layers_are_added_only_where_asked_for_and_change_nothing(model, features):
    blocks = model.features(byte_images(2))
    inside = {f"{layer}/{part}" for layer in layers_of(features) for part in ("currents", "spikes")}
    assert set(features) - set(blocks) == inside
    for name, values in blocks.items():
        np.testing.assert_allclose(features[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


def test_spikes_of_a_layer_are_those_of_its_currents(model, features):
    neuron = model.model.layers.spiking.neuron
    for layer in layers_of(features):
        spikes, membranes = neuron.trace(features[f"{layer}/currents"])
        np.testing.assert_array_equal(features[f"{layer}/spikes"], spikes)
        assert (membranes < neuron.threshold).all()
        assert spikes.shape[:2] == (8, 2)
        assert np.mean(spikes) > 0


def test_spikes_that_leave_a_block_are_those_of_its_last_layer(features):
    for block in ("block1", "block2"):
        pooled = average_pool(features[f"{block}/snn/norm/spikes"], 2, 2)
        np.testing.assert_array_equal(features[f"{block}/spikes"], pooled)
    np.testing.assert_array_equal(features["head/spikes"], features["head/snn/dense3/spikes"])


def test_a_residual_block_adds_the_spikes_of_its_branch_and_its_shortcut(residual):
    _, features = residual
    names = [name for name in layers_of(features) if name.startswith("stage2_block1/")]
    assert names == [f"stage2_block1/snn/{layer}" for layer in ("norm1", "norm2", "shortcut_norm")]
    branch, shortcut = (features[f"stage2_block1/snn/{layer}/spikes"] for layer in ("norm2", "shortcut_norm"))
    np.testing.assert_array_equal(features["stage2_block1/spikes"], branch + shortcut)


def test_leaky_neurons_are_watched_too(residual):
    model, features = residual
    layer = "stage2_block1/snn/norm1"
    spikes, _ = model.layers.spiking.neuron.trace(features[f"{layer}/currents"])
    np.testing.assert_array_equal(features[f"{layer}/spikes"], spikes)


def test_what_a_spiking_path_adds_has_its_learned_gain():
    model = tiny_resnet(spiking=hasnn_jax.AS_RECOMMENDED)
    images = random_images(1)
    found = jax.jit(functools.partial(block_outputs, model))(drawn_variables(model, images), images)

    for block in ("stem", "stage3_block1"):
        np.testing.assert_allclose(found[f"{block}/ann"] + found[f"{block}/snn"], found[block], rtol=1e-5, atol=1e-5)

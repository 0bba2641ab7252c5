"""Which convolutions the layers after them compute."""

import types

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from meshes import mesh_of

import hasnn_jax
from hasnn_jax import core
from hasnn_jax.models import convolution_kernels
from hasnn_jax.models.compile_target import compile_for
from hasnn_jax.models.deferred_convolution import Deferral, deferral
from hasnn_jax.models.hybrid import LayerFactory

EIGHT = tuple(2.0 ** (7 - t) for t in range(8))
FITTING = {
    "shape": (8, 4, 32, 32, 3),
    "kernel": 7,
    "stride": 2,
    "features": 64,
    "dtype": jnp.bfloat16,
    "group": None,
    "neuron": core.IF(),
}
OTHERS = {
    "wide rows": {"kernel": 17, "shape": (8, 4, 32, 32, 4)},
    "more channels than images have": {"shape": (8, 4, 32, 32, 5)},
    "many features": {"features": 65},
    "no neuron": {"neuron": nn.relu},
    "an unknown decoder": {"decoder": lambda spikes: spikes.max(0)},
    "nine steps": {"shape": (9, 4, 32, 32, 3)},
    "64-bit offsets": {"shape": (8, 2**18, 32, 32, 3)},
    "a group that does not divide the batch": {"group": 3},
}


def asked_on(platform, devices=1, **changed):
    arguments = {**FITTING, "decoder": core.decode_bit_planes, **changed}
    return compile_for(mesh_of(platform, devices), lambda: deferral(**arguments))()


@pytest.mark.parametrize("platform", ["cuda", "gpu", "rocm"])
def test_a_gpu_defers_what_the_kernels_are_made_for(platform):
    assert asked_on(platform) == Deferral(1, EIGHT, 255.0)
    assert asked_on(platform, group=2, decoder=core.decode_rate) == Deferral(2, (1.0,) * 8, 8.0)
    assert asked_on(platform, shape=(4, 32, 32, 3), neuron=nn.relu) == Deferral(1)
    assert asked_on(platform, devices=2) == Deferral(1, EIGHT, 255.0)
    assert asked_on(platform, devices=2, group=2) is None


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_are_not_deferred(name):
    assert asked_on("cuda", **OTHERS[name]) is None


@pytest.mark.parametrize("platform", ["cpu", "tpu"])
def test_other_devices_defer_nothing(platform):
    assert asked_on(platform) is None


def test_without_triton_nothing_is_deferred(monkeypatch):
    monkeypatch.setattr(convolution_kernels, "triton", None)
    assert asked_on("cuda") is None


@pytest.mark.parametrize(("capability", "defers"), [("7.5", False), ("8.0", True), ("10.0", True), ("gfx942", True)])
def test_gpus_that_are_present_must_be_new_enough(capability, defers, monkeypatch):
    device = types.SimpleNamespace(compute_capability=capability)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert convolution_kernels.available() == defers


def test_each_device_counts_its_own_images():
    many = 2**16
    assert asked_on("cuda", shape=(8, many, 32, 32, 3)) == Deferral(1, EIGHT, 255.0)
    assert asked_on("cuda", shape=(8, 16 * many, 32, 32, 3)) is None
    assert asked_on("cuda", shape=(8, 16 * many, 32, 32, 3), devices=16) == Deferral(1, EIGHT, 255.0)


@pytest.mark.parametrize(
    ("settings", "train"),
    [
        ({}, False),
        ({"dtype": jnp.float32}, True),
        ({"kernels": "xla"}, True),
        ({"spiking": hasnn_jax.AS_RELEASED}, True),
    ],
)
def test_a_model_defers_in_training_in_bfloat16_unless_told_otherwise(settings, train):
    def asked(train, **settings):
        layers = LayerFactory(**{"dtype": jnp.bfloat16, **settings})
        x = jnp.zeros((8, 2, 8, 8, 3))
        return compile_for(mesh_of("cuda"), lambda: layers.defers(x, 16, 3, 1, layers.spiking.neuron, train))()

    assert asked(True) == Deferral(1, EIGHT, 255.0)
    assert asked(train, **settings) is None

import dataclasses
import re

import jax.numpy as jnp
import numpy as np
import pytest

import hasnn_jax
from hasnn_jax import core


def test_as_described_is_the_papers_system():
    spec = hasnn_jax.AS_DESCRIBED

    assert spec.coding == core.BitPlaneCoding(
        surrogate=core.FourierSine(order=5, offset=0.5),
        rescaling=core.order_aware_rescaling,
        plane_order="msb_first",
        lowest_plane="binary",
        value_range="running",
        planes=8,
        vector_gradient="per_plane",
    )
    assert spec.neuron == core.IF(threshold=1.0, reset="hard", detach_reset=False, surrogate=core.ArcTan(2.0))
    assert spec.decoder is core.decode_bit_planes


def test_as_released_differs_by_the_releases_quirks_alone():
    spec = hasnn_jax.AS_RELEASED

    assert spec.coding == dataclasses.replace(
        hasnn_jax.AS_DESCRIBED.coding,
        plane_order="lsb_first",
        lowest_plane="fractional",
        value_range="batch",
        vector_gradient="pooled",
    )
    assert spec.neuron == core.LIF(threshold=1.0, reset="hard", surrogate=core.ArcTan(2.0), tau=2.0, decay_input=True)
    assert spec.decoder is core.decode_bit_planes


def test_as_recommended_differs_from_the_paper_in_the_gradients_size_the_order_of_the_planes_and_the_gain():
    described = dataclasses.replace(
        hasnn_jax.AS_RECOMMENDED.coding, rescaling=core.order_aware_rescaling, plane_order="msb_first"
    )
    spec = dataclasses.replace(hasnn_jax.AS_RECOMMENDED, coding=described, decoder=core.decode_bit_planes, gain="one")

    assert spec == hasnn_jax.AS_DESCRIBED
    assert hasnn_jax.AS_RECOMMENDED.coding.rescaling == core.unit_gain_rescaling
    assert hasnn_jax.AS_RECOMMENDED.decoder is core.decode_bit_planes_lsb_first
    assert hasnn_jax.AS_RECOMMENDED.gain == "learned"


def test_specs_are_frozen_hashable_values():
    assert hash(hasnn_jax.SpikingSpec()) == hash(hasnn_jax.AS_DESCRIBED)
    assert hasnn_jax.AS_DESCRIBED != hasnn_jax.AS_RELEASED
    with pytest.raises(dataclasses.FrozenInstanceError):
        hasnn_jax.AS_DESCRIBED.neuron = core.LIF()


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("as_described", hasnn_jax.AS_DESCRIBED),
        ("as_released", hasnn_jax.AS_RELEASED),
        ("as_recommended", hasnn_jax.AS_RECOMMENDED),
    ],
)
def test_a_name_alone_is_the_named_spec(name, spec):
    assert hasnn_jax.spiking_spec(name) == spec


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ({"surrogate": "sigsine"}, "surrogate", core.SigSine()),
        ({"surrogate": "tanhsine(alpha=-5)"}, "surrogate", core.TanhSine(-5)),
        ({"surrogate": "fouriersine(order=3, offset=0.0)"}, "surrogate", core.FourierSine(3, 0.0)),
        ({"surrogate": "constant(steepness=1.0)"}, "surrogate", core.ConstantSlope(1.0)),
        ({"rescaling": "none"}, "rescaling", core.no_rescaling),
        ({"rescaling": "power(order=0, gain=0.006)"}, "rescaling", core.PowerRescaling(0, 1, 0.006)),
        ({"range_gradient": "stopped"}, "range_gradient", "stopped"),
        ({"plane_order": "lsb_first"}, "plane_order", "lsb_first"),
        ({"lowest_plane": "fractional"}, "lowest_plane", "fractional"),
        ({"value_range": "example"}, "value_range", "example"),
        ({"planes": 3}, "planes", 3),
        ({"vector_gradient": "pooled"}, "vector_gradient", "pooled"),
    ],
)
def test_one_point_of_the_coding_is_replaced_and_the_rest_stays(text, part, expected):
    spec = hasnn_jax.spiking_spec(**text)

    assert getattr(spec.coding, part) == expected
    assert spec != hasnn_jax.AS_DESCRIBED
    rest = dataclasses.replace(spec.coding, **{part: getattr(hasnn_jax.AS_DESCRIBED.coding, part)})
    assert dataclasses.replace(spec, coding=rest) == hasnn_jax.AS_DESCRIBED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"neuron": "lif"}, core.LIF()),
        ({"neuron": "if(threshold=0.5)"}, core.IF(threshold=0.5)),
        ({"neuron": "lif(tau=4, reset='soft', detach_reset=True)"}, core.LIF(tau=4, reset="soft", detach_reset=True)),
        ({"spike_surrogate": "sigmoid(alpha=4.0)"}, core.IF(surrogate=core.Sigmoid(4.0))),
        ({"neuron": "lif(tau=3)", "spike_surrogate": "triangle"}, core.LIF(tau=3, surrogate=core.Triangle())),
        ({"spec": "as_released", "spike_surrogate": "rectangle"}, core.LIF(surrogate=core.Rectangle())),
        ({"spec": "as_released", "spike_surrogate": "fast_sigmoid"}, core.LIF(surrogate=core.FastSigmoid())),
    ],
)
def test_neuron_and_spike_surrogate_are_built_from_text(text, expected):
    spec = hasnn_jax.spiking_spec(**text)
    base = hasnn_jax.spiking_spec(text.get("spec", "as_described"))

    assert spec == dataclasses.replace(base, neuron=expected)


def test_the_decoder_is_replaced():
    assert hasnn_jax.spiking_spec(decoder="rate").decoder is core.decode_rate
    assert hasnn_jax.spiking_spec("as_released", decoder="bit_planes") == hasnn_jax.AS_RELEASED


def test_a_decoder_of_the_least_significant_plane_first_undoes_that_order():
    spec = hasnn_jax.spiking_spec(plane_order="lsb_first", decoder="bit_planes_lsb_first", planes=4)
    values = jnp.arange(0, 256, 16) / jnp.float32(255)

    np.testing.assert_allclose(spec.decoder(core.encode(values, spec.coding, (0.0, 1.0))), values, rtol=1e-6)
    assert spec == hasnn_jax.spiking_spec(plane_order="lsb_first", decoder="bit_planes_lsb_first", planes=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"spec": "as_relased"}, "unknown spiking spec 'as_relased': expected one of as_described, as_recommended, "
         "as_released; did you mean 'as_released'?"),
        ({"surrogate": "fourier"}, "unknown encoder surrogate 'fourier': expected one of constant, fouriersine,"),
        ({"rescaling": "order-aware"}, "unknown gradient rescaling 'order-aware': expected one of none, order_aware,"),
        ({"rescaling": "power(order=-1)"}, "gradient rescaling 'power(order=-1)': expected numbers, and an order of 0"),
        ({"neuron": "liff"}, "unknown neuron 'liff': expected one of if, lif; did you mean 'lif'?"),
        ({"spike_surrogate": "atan"}, "unknown spike surrogate 'atan': expected one of arctan,"),
        ({"decoder": "bitplanes"}, "unknown decoder 'bitplanes': expected one of bit_planes, bit_planes_lsb_first, "
         "rate; did you mean 'bit_planes'?"),
        ({"plane_order": "msb"}, "plane_order: expected one of msb_first, lsb_first; got 'msb'"),
        ({"gain": "two"}, "spiking spec: gain: expected one of one, learned; got 'two'"),
        ({"planes": 9}, "planes: expected a whole number from 1 to 8, got 9"),
        ({"neuron": "lif(tau=1)"}, "tau: expected a finite number above 1, got 1"),
        ({"neuron": "if(tau=2)"}, "neuron 'if(tau=2)': "),
        ({"surrogate": "fouriersine(order=0)"}, "order: expected a whole number of harmonics, 1 or more, got 0"),
    ],
)  # fmt: skip
def test_bad_text_is_refused_with_what_was_expected(text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        hasnn_jax.spiking_spec(**text)


@pytest.mark.parametrize(
    "field", ["surrogate", "rescaling", "plane_order", "neuron", "spike_surrogate", "decoder", "value_range"]
)
def test_an_empty_text_never_becomes_part_of_a_spec(field):
    # An empty field in a config either keeps the value of the spec or is an error; it never becomes a value.
    try:
        spec = hasnn_jax.spiking_spec(**{field: ""})
    except ValueError:
        return
    assert spec == hasnn_jax.AS_DESCRIBED

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax import core
from hasnn_jax.core.decoding import step_weights

few = hypothesis.settings(deadline=None, max_examples=25)
DESCRIBED = core.BitPlaneCoding()
ALL_BYTES = np.arange(256)
encode = jax.jit(core.encode, static_argnums=1)


def image_of(values):
    return (np.asarray(values) / 255).astype(np.float32)


def test_decoders_reproduce_the_release(golden, x64):
    numbers = golden("encoder")
    spikes = jnp.asarray(numbers["decode_spikes"])

    np.testing.assert_allclose(core.decode_bit_planes(spikes), numbers["decode_bpd"], rtol=1e-14)
    np.testing.assert_allclose(core.decode_rate(spikes), numbers["decode_rate"], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_decoding_undoes_encoding_for_every_byte(x64, dtype):
    planes = encode(jnp.asarray(ALL_BYTES.astype(dtype) / 255), DESCRIBED)
    restored = core.decode_bit_planes(planes)

    np.testing.assert_array_equal(core.pack(planes), ALL_BYTES)
    np.testing.assert_allclose(restored, ALL_BYTES / 255, rtol=2 * np.finfo(dtype).eps)
    # A result slightly below k / 255 would lose its lowest bit in the encoder of the next block.
    np.testing.assert_array_equal(core.pack(encode(restored, DESCRIBED)), ALL_BYTES)


@pytest.mark.parametrize(
    "to_unit", [lambda b: b / 255, jax.jit(lambda b: b / 255), lambda b: b * np.float32(1 / 255)], ids=["/", "jit", "*"]
)
def test_bytes_survive_however_they_are_brought_into_the_unit_interval(to_unit):
    planes = encode(to_unit(jnp.asarray(ALL_BYTES, jnp.float32)), DESCRIBED)

    np.testing.assert_array_equal(core.pack(planes), ALL_BYTES)


@hypothesis.given(hnp.arrays(np.uint8, (2, 3, 4, 3)))
@few
def test_decoding_undoes_encoding_for_any_image(image):
    planes = encode(jnp.asarray(image_of(image)), DESCRIBED)

    assert planes.shape == (8, 2, 3, 4, 3)
    np.testing.assert_array_equal(np.round(np.asarray(core.decode_bit_planes(planes)) * 255), image)
    np.testing.assert_array_equal(planes[3], (image >> 4) & 1)


def test_the_release_decodes_its_own_planes_with_the_bits_reversed():
    released = core.BitPlaneCoding(
        plane_order="lsb_first", lowest_plane="fractional", value_range="batch", vector_gradient="pooled"
    )
    restored = core.decode_bit_planes(encode(jnp.asarray(image_of(ALL_BYTES)), released))
    reversed_bits = [int(f"{value:08b}"[::-1], 2) for value in ALL_BYTES]

    np.testing.assert_array_equal(np.round(np.asarray(restored[1:-1] * 255)), reversed_bits[1:-1])


def test_decoding_weights_are_powers_of_two_from_the_first_step_on():
    steps = jnp.eye(8)  # at step t, only neuron t fires

    np.testing.assert_allclose(core.decode_bit_planes(steps), image_of(2 ** np.arange(7, -1, -1)), rtol=2e-7)
    np.testing.assert_allclose(core.decode_bit_planes(steps, "lsb_first"), image_of(2 ** np.arange(8)), rtol=2e-7)
    np.testing.assert_allclose(core.decode_bit_planes(steps[:3]), image_of([128, 64, 32, 0, 0, 0, 0, 0]), rtol=2e-7)
    np.testing.assert_allclose(
        core.decode_bit_planes(steps[:3], "lsb_first"), image_of([32, 64, 128] + [0] * 5), rtol=2e-7
    )


def test_decoders_are_linear_with_their_weights_as_gradient():
    spikes = jnp.zeros((4, 2))

    by_weight = jax.grad(lambda s: core.decode_bit_planes(s).sum())(spikes)
    np.testing.assert_allclose(by_weight[:, 1], np.asarray([128, 64, 32, 16]) / 255, rtol=1e-6)
    np.testing.assert_array_equal(jax.grad(lambda s: core.decode_rate(s).sum())(spikes), np.full((4, 2), 0.25))


@hypothesis.given(hnp.arrays(np.bool_, (8, 5)), st.sampled_from([jnp.bfloat16, jnp.uint8, jnp.float32]))
@few
def test_rate_decoding_counts_spikes_in_float32(spikes, dtype):
    rate = core.decode_rate(jnp.asarray(spikes).astype(dtype))

    assert rate.dtype == core.decode_bit_planes(jnp.asarray(spikes).astype(dtype)).dtype == jnp.float32
    np.testing.assert_array_equal(rate * 8, spikes.sum(axis=0))


@pytest.mark.parametrize("steps", [1, 5, 8])
@pytest.mark.parametrize("decoder", [core.decode_bit_planes, core.decode_bit_planes_lsb_first, core.decode_rate])
def test_decoders_are_the_weighted_sums_that_they_are_said_to_be(decoder, steps):
    spikes = np.random.default_rng(steps).integers(0, 2, (steps, 6))
    weights, divisor = step_weights(decoder, steps)
    assert sum(weights) <= 255
    np.testing.assert_allclose(decoder(jnp.asarray(spikes)), np.asarray(weights) @ spikes / divisor, rtol=1e-6)


def test_of_an_unknown_decoder_no_weights_are_known():
    assert step_weights(lambda spikes: spikes.max(0), 8) is None

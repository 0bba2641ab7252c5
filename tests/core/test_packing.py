import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax import core

few = hypothesis.settings(deadline=None, max_examples=25)
pack = jax.jit(core.pack)
unpack = jax.jit(core.unpack, static_argnums=(1, 2))
ONE_EIGHT_STEP_TRAIN = [1, 0, 1, 1, 0, 0, 0, 1]


def test_the_first_step_is_the_highest_bit():
    assert core.pack(jnp.asarray(ONE_EIGHT_STEP_TRAIN, jnp.float32)) == 0b10110001


def test_fewer_steps_fill_the_byte_from_the_top():
    assert core.pack(jnp.asarray([1.0, 0.0, 1.0])) == 0b10100000


@pytest.mark.parametrize("dtype", [jnp.bool_, jnp.uint8, jnp.bfloat16, jnp.float32])
def test_packing_takes_any_dtype_and_gives_bytes(dtype):
    packed = core.pack(jnp.asarray(ONE_EIGHT_STEP_TRAIN).astype(dtype)[:, None])

    assert packed.dtype == jnp.uint8
    assert packed.shape == (1,)
    assert packed[0] == 177


@hypothesis.given(
    hnp.arrays(np.bool_, (8, 3, 2)), st.integers(1, 8), st.sampled_from([jnp.float32, jnp.bfloat16, jnp.uint8])
)
@few
def test_unpacking_is_the_inverse_of_packing(spikes, steps, dtype):
    spikes = spikes[:steps].astype(dtype)
    restored = unpack(pack(spikes), steps, dtype)

    assert restored.dtype == dtype
    np.testing.assert_array_equal(restored, spikes)


@hypothesis.given(hnp.arrays(np.uint8, (2, 3)))
@few
def test_packing_is_the_inverse_of_unpacking(packed):
    spikes = unpack(packed)

    assert spikes.shape == (8, 2, 3)
    np.testing.assert_array_equal(pack(spikes), packed)


def test_unpacking_agrees_with_numpy():
    packed = np.arange(256, dtype=np.uint8)

    np.testing.assert_array_equal(core.unpack(jnp.asarray(packed)).T, np.unpackbits(packed[:, None], axis=1))


def test_bytes_of_an_encoded_image_are_the_image():
    image = jnp.arange(256, dtype=jnp.uint8).reshape(1, 16, 16, 1)
    spikes = core.encode(image.astype(jnp.float32) / 255, core.BitPlaneCoding())

    np.testing.assert_array_equal(core.pack(spikes), image)


@pytest.mark.parametrize("steps", [0, 9])
def test_a_number_of_steps_that_no_byte_holds_is_refused(steps):
    with pytest.raises(ValueError, match=f"a byte holds 1 to 8 time steps, got {steps}"):
        core.pack(jnp.zeros((steps, 2)))
    with pytest.raises(ValueError, match=f"a byte holds 1 to 8 time steps, got {steps}"):
        core.unpack(jnp.zeros((2,), jnp.uint8), steps=steps)


def test_a_spike_train_without_a_time_axis_is_refused():
    with pytest.raises(ValueError, match="1 to 8 time steps, got 0"):
        core.pack(jnp.asarray(1.0))


def test_unpacking_anything_but_bytes_is_refused():
    with pytest.raises(TypeError, match="packed: expected uint8, got int32"):
        core.unpack(jnp.zeros((2,), jnp.int32))


def test_jit_and_vmap_agree_with_plain_calls():
    spikes = core.unpack(jnp.arange(200, 220, dtype=jnp.uint8).reshape(4, 5))

    np.testing.assert_array_equal(pack(spikes), core.pack(spikes))
    np.testing.assert_array_equal(jax.vmap(core.pack, in_axes=1)(spikes), core.pack(spikes))
    np.testing.assert_array_equal(unpack(pack(spikes), 8), spikes)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_whole_numbers_that_are_computed_once_stay_the_same(x64, dtype):
    bytes_ = jnp.arange(256, dtype=dtype)
    for function in (core.packing.computed_once, jax.jit(core.packing.computed_once)):
        np.testing.assert_array_equal(function(bytes_), bytes_)

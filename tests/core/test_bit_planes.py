import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax import core

DESCRIBED = core.BitPlaneCoding()
RELEASED = core.BitPlaneCoding(
    plane_order="lsb_first", lowest_plane="fractional", value_range="batch", vector_gradient="pooled"
)
SURROGATES = {"sigsine": core.SigSine(), "tanhsine": core.TanhSine(), "fouriersine": core.FourierSine()}
ALL_BYTES = np.arange(256)
encode = jax.jit(core.encode, static_argnums=1)


def image_of(values):
    return (np.asarray(values) / 255).astype(np.float32)


def fourier_gradient(x, cotangent, planes, time_of):
    """The sum of g_k F_k s_k over `planes` in NumPy, where s_k is one half minus five cosines."""
    total = np.zeros_like(x)
    for k in planes:
        cosines = sum(np.cos(n * np.pi * x / 2**k) for n in (1, 3, 5, 7, 9))
        total += cotangent[time_of(k)] * (k / 2 ** (7 - k)) * (0.5 - 2 / 2**k * cosines)
    return total


def test_planes_reproduce_the_release_exactly(golden, x64):
    numbers = golden("surrogates")

    np.testing.assert_array_equal(core.bit_planes(jnp.asarray(numbers["x"]), RELEASED), numbers["planes_lsb_first"])


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("values", ["unit", "signed", "wide"])
def test_encoder_reproduces_the_release_through_its_value_range(golden, x64, values, surrogate):
    numbers = golden("encoder")
    coding = dataclasses.replace(RELEASED, surrogate=SURROGATES[surrogate])
    planes, backward = jax.vjp(lambda x: encode(x, coding), jnp.asarray(numbers[f"{values}_x"]))
    (gradient,) = backward(jnp.asarray(numbers[f"{values}_cotangent"]))

    expected = numbers[f"{values}_{surrogate}_grad_x"]
    np.testing.assert_array_equal(planes[1:], numbers[f"{values}_{surrogate}_planes"][1:])
    np.testing.assert_allclose(planes[0], numbers[f"{values}_{surrogate}_planes"][0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_planes_of_a_constant_reproduce_the_release(golden, x64):
    numbers = golden("encoder")

    np.testing.assert_array_equal(encode(jnp.asarray(numbers["constant_x"]), RELEASED), numbers["constant_planes"])


@pytest.mark.parametrize(
    ("value", "msb_first"),
    [(128, "10000000"), (1, "00000001"), (0, "00000000"), (255, "11111111"), (178, "10110010"), (76, "01001100")],
)
def test_planes_are_the_bits_most_significant_first(value, msb_first):
    bits = [int(bit) for bit in msb_first]
    x = jnp.full((1,), value, jnp.float32) / 255

    np.testing.assert_array_equal(encode(x, DESCRIBED)[:, 0], bits)
    lsb_first = encode(x, dataclasses.replace(DESCRIBED, plane_order="lsb_first"))
    np.testing.assert_array_equal(lsb_first[:, 0], bits[::-1])


def test_a_fractional_lowest_plane_keeps_the_fraction_and_a_binary_one_drops_it():
    fractional = dataclasses.replace(DESCRIBED, lowest_plane="fractional")

    np.testing.assert_array_equal(core.bit_planes(jnp.asarray(76.5), fractional), [0, 1, 0, 0, 1, 1, 0, 0.5])
    np.testing.assert_array_equal(core.bit_planes(jnp.asarray(77.5), fractional), [0, 1, 0, 0, 1, 1, 0, 1.5])
    np.testing.assert_array_equal(core.bit_planes(jnp.asarray(77.5), DESCRIBED), [0, 1, 0, 0, 1, 1, 0, 1])


@pytest.mark.parametrize("planes", range(1, 9))
def test_planes_kept_are_the_most_significant_ones(planes):
    x = jnp.asarray(image_of(ALL_BYTES))
    kept = dataclasses.replace(DESCRIBED, planes=planes)
    backwards = dataclasses.replace(kept, plane_order="lsb_first")

    np.testing.assert_array_equal(encode(x, kept), encode(x, DESCRIBED)[:planes])
    np.testing.assert_array_equal(encode(x, backwards), encode(x, kept)[::-1])
    coarse = ALL_BYTES // 2 ** (8 - planes) * 2 ** (8 - planes)
    for spikes, plane_order in ((encode(x, kept), "msb_first"), (encode(x, backwards), "lsb_first")):
        np.testing.assert_allclose(core.decode_bit_planes(spikes, plane_order), image_of(coarse), rtol=2e-7)


@pytest.mark.parametrize("plane_order", ["msb_first", "lsb_first"])
@pytest.mark.parametrize("planes", [1, 3, 8])
def test_gradient_sums_the_kept_planes_rescaled_slopes(x64, plane_order, planes):
    coding = core.BitPlaneCoding(plane_order=plane_order, planes=planes)
    rng = np.random.default_rng(0)
    x, cotangent = rng.uniform(0, 255, (3, 7, 2)), rng.normal(size=(planes, 3, 7, 2))
    (gradient,) = jax.vjp(lambda x: core.bit_planes(x, coding), jnp.asarray(x))[1](jnp.asarray(cotangent))

    kept = range(8 - planes, 8)
    time_of = {k: 7 - k if plane_order == "msb_first" else k - (8 - planes) for k in kept}
    np.testing.assert_allclose(gradient, fourier_gradient(x, cotangent, kept, time_of.get), rtol=1e-9, atol=1e-9)


def test_pooled_gradient_of_a_matrix_multiplies_the_two_sums(x64):
    rng = np.random.default_rng(1)
    x, cotangent = rng.uniform(0, 255, (3, 5)), rng.normal(size=(8, 3, 5))
    (gradient,) = jax.vjp(lambda x: core.bit_planes(x, RELEASED), jnp.asarray(x))[1](jnp.asarray(cotangent))

    slopes = fourier_gradient(x, np.ones_like(cotangent), range(8), lambda k: k)
    np.testing.assert_allclose(gradient, cotangent.sum(axis=0) * slopes, rtol=1e-9)


def test_pooled_gradient_of_a_feature_map_is_per_plane(x64):
    rng = np.random.default_rng(2)
    x, cotangent = rng.uniform(0, 255, (2, 3, 3, 1)), rng.normal(size=(8, 2, 3, 3, 1))
    (gradient,) = jax.vjp(lambda x: core.bit_planes(x, RELEASED), jnp.asarray(x))[1](jnp.asarray(cotangent))

    np.testing.assert_allclose(gradient, fourier_gradient(x, cotangent, range(8), lambda k: k), rtol=1e-9, atol=1e-9)


def test_without_rescaling_the_lowest_plane_gets_a_gradient_and_with_it_none():
    def of_lowest_plane(x, coding):
        return core.bit_planes(x, coding)[7]

    rescaled = jax.grad(of_lowest_plane)(jnp.asarray(0.0), DESCRIBED)
    raw = jax.grad(of_lowest_plane)(jnp.asarray(0.0), dataclasses.replace(DESCRIBED, rescaling=core.no_rescaling))

    assert rescaled == 0
    assert raw == pytest.approx(0.5 - 10)


@pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=repr)
def test_gradient_is_blind_to_shift_and_scale_where_values_are_normalised(x64, surrogate):
    # encode(a x + b) = encode(x) for ranges beyond [0, 1], so the gradient is orthogonal to 1 and to x.
    rng = np.random.default_rng(3)
    coding = core.BitPlaneCoding(surrogate=surrogate, value_range="batch")
    x, cotangent = rng.normal(0, 4, (2, 5, 3)), rng.normal(size=(8, 2, 5, 3))
    (gradient,) = jax.vjp(lambda x: encode(x, coding), jnp.asarray(x))[1](jnp.asarray(cotangent))

    size = np.abs(gradient).sum()
    assert size > 1
    assert abs(gradient.sum()) < 1e-10 * size
    assert abs((x * gradient).sum()) < 1e-10 * size * np.abs(x).max()


def test_value_range_of_the_example_ignores_its_batch_mates():
    x = jnp.asarray(np.random.default_rng(4).normal(0, 2, (3, 6)), jnp.float32)
    own = encode(x, core.BitPlaneCoding(value_range="example"))
    shared = encode(x, core.BitPlaneCoding(value_range="batch"))

    for i in range(3):
        np.testing.assert_array_equal(own[:, i], encode(x[i : i + 1], DESCRIBED)[:, 0])
    assert (np.asarray(own) != np.asarray(shared)).any()
    np.testing.assert_array_equal(encode(x, core.BitPlaneCoding(value_range="running")), shared)


def test_given_bounds_become_0_and_255_and_values_beyond_them_saturate():
    x = jnp.asarray([[-7.0, -2.0, 0.0, 2.0, 9.0]])
    planes = core.encode(x, DESCRIBED, (jnp.asarray(-2.0), jnp.asarray(2.0)))

    np.testing.assert_array_equal(core.pack(planes), [[0, 0, 127, 255, 255]])


def test_bfloat16_is_split_in_float32_and_given_back_in_bfloat16():
    x = jnp.asarray(np.random.default_rng(5).uniform(0, 1, (2, 9)), jnp.bfloat16)
    planes, backward = jax.vjp(lambda x: encode(x, DESCRIBED), x)

    assert planes.dtype == jnp.bfloat16
    # A number of 8 significant bits times 255 is exact in float32, but not in bfloat16.
    np.testing.assert_array_equal(core.pack(planes), np.floor(np.asarray(x, np.float64) * 255))
    (gradient,) = backward(planes)
    assert gradient.dtype == jnp.bfloat16
    assert np.isfinite(gradient.astype(jnp.float32)).all()


def test_encode_maps_over_a_new_axis_with_its_gradient():
    x = jnp.asarray(np.random.default_rng(6).normal(0, 2, (4, 2, 3)), jnp.float32)
    mapped = jax.vmap(lambda x: core.encode(x, DESCRIBED))(x)
    gradients = jax.jit(jax.vmap(jax.grad(lambda x: core.encode(x, DESCRIBED)[0].sum())))(x)

    for i in range(4):
        np.testing.assert_array_equal(mapped[i], encode(x[i], DESCRIBED))
        alone = jax.grad(lambda x: encode(x, DESCRIBED)[0].sum())(x[i])
        np.testing.assert_allclose(gradients[i], alone, rtol=1e-3, atol=1e-3 * np.abs(alone).max())
    assert np.abs(gradients).max() > 0


def test_a_stopped_range_is_taken_for_constant():
    x = jnp.asarray([-1.0, 0.3, 3.0])
    stopped = dataclasses.replace(DESCRIBED, range_gradient="stopped", surrogate=core.ConstantSlope())
    flowing = dataclasses.replace(stopped, range_gradient="differentiated")
    gradient = {coding: jax.grad(lambda x, coding=coding: encode(x, coding)[0, 1])(x) for coding in (stopped, flowing)}

    # Plane 7 of the middle value alone: 255 / (3 - -1) grey levels per unit, a slope of 1/2, F_7 = 7.
    np.testing.assert_allclose(gradient[stopped], [0, 7 * 0.5 * 255 / 4, 0], rtol=1e-6)
    assert np.all(np.asarray(gradient[flowing])[[0, 2]] < 0)

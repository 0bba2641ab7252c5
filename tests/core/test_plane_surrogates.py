import dataclasses
import math

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from hasnn_jax import core

few = hypothesis.settings(deadline=None, max_examples=25)
SURROGATES = [
    core.SigSine(),
    core.SigSine(alpha=-2.0),
    core.TanhSine(alpha=-5.0),
    core.FourierSine(),
    core.FourierSine(order=3, offset=0.0),
]
HALF_PERIODS = 2.0 ** np.arange(8)[:, None]  # [8, 1]
vectors = hnp.arrays(np.float64, 16, elements=st.floats(0, 127))

wave = jax.jit(lambda surrogate, x: surrogate.wave(x), static_argnums=0)
slopes = jax.jit(lambda surrogate, x: surrogate.derivative(x), static_argnums=0)
gradient_of_wave = jax.jit(lambda surrogate, x: jax.jvp(surrogate.wave, (x,), (jnp.ones_like(x),))[1], static_argnums=0)


@pytest.mark.parametrize("rescaling", ["rescaled", "raw"])
@pytest.mark.parametrize(
    ("name", "surrogate"),
    [(f"sigsine_alpha-{a}", core.SigSine(-float(a))) for a in (10, 5, 2)]
    + [(f"tanhsine_alpha-{a}", core.TanhSine(-float(a))) for a in (10, 5, 2)]
    + [(f"fouriersine_alpha{a}", core.FourierSine(a)) for a in (1, 3, 5, 8)],
)
def test_derivative_reproduces_the_release(golden, x64, name, surrogate, rescaling):
    numbers = golden("surrogates")
    expected = numbers[f"{name}_{rescaling}"]
    factor = {"rescaled": core.order_aware_rescaling, "raw": core.no_rescaling}[rescaling]

    derivative = surrogate.derivative(jnp.asarray(numbers["x"]), factor)

    assert derivative.dtype == jnp.float64
    # Where the exact derivative is 0, the golden number is a rounding error, so the tolerance is relative to the
    # largest derivative of the plane.
    scale = np.abs(expected).max(axis=1, keepdims=True)
    np.testing.assert_array_less(np.abs(derivative - expected) - 1e-9 * scale, 1e-300)


def test_a_constant_slope_is_the_same_for_every_plane_and_value():
    derivative = core.ConstantSlope(0.25).derivative(jnp.linspace(0, 255, 7), core.order_aware_rescaling)

    expected = 0.25 * np.array([core.order_aware_rescaling(k) for k in range(8)])
    np.testing.assert_array_equal(derivative, np.repeat(expected[:, None], 7, axis=1).astype(np.float32))


@pytest.mark.parametrize(
    ("surrogate", "at_zero", "offset"),
    # At x = 0 every sine is 0 and every cosine is 1; half a period later the cosine is -1.
    [
        (core.SigSine(), -2.5 * math.pi, 0.0),
        (core.SigSine(alpha=-4.0), -1.0 * math.pi, 0.0),
        (core.TanhSine(), -5.0 * math.pi, 0.0),
        (core.FourierSine(), -10.0, 0.5),
        (core.FourierSine(order=3, offset=-0.25), -6.0, -0.25),
    ],
)
def test_derivative_at_the_edges_of_the_wave_has_its_closed_form(x64, surrogate, at_zero, offset):
    starts = surrogate.derivative(jnp.zeros(()))
    np.testing.assert_allclose(starts, offset + at_zero / HALF_PERIODS[:, 0], rtol=1e-12)

    for k in range(8):
        middle = surrogate.derivative(jnp.asarray(2.0**k))[k]
        np.testing.assert_allclose(middle, offset - at_zero / 2.0**k, rtol=1e-12)


@pytest.mark.parametrize(
    ("surrogate", "low", "high"),
    # After a quarter period the sine is 1 (the plane is 0); after three quarters it is -1 (the plane is 1).
    [
        (core.SigSine(), 1 / (1 + math.exp(10)), 1 / (1 + math.exp(-10))),
        (core.TanhSine(alpha=-2.0), (1 - math.tanh(2)) / 2, (1 + math.tanh(2)) / 2),
        (core.FourierSine(order=1), 0.5 - 2 / math.pi, 0.5 + 2 / math.pi),
        (core.FourierSine(order=2), 0.5 - 4 / (3 * math.pi), 0.5 + 4 / (3 * math.pi)),
    ],
)
def test_wave_in_the_middle_of_each_half_period_has_its_closed_form(x64, surrogate, low, high):
    for k in range(8):
        middles = wave(surrogate, jnp.asarray([0.5, 1.5]) * 2.0**k)[k]
        np.testing.assert_allclose(middles, [low, high], rtol=1e-10)


@pytest.mark.parametrize("surrogate", [core.SigSine(), core.TanhSine(), core.FourierSine(order=8)])
def test_wave_follows_the_bit_plane_away_from_its_edges(x64, surrogate):
    quarters = jnp.arange(0.5, 1024) / 4  # four samples per grey level
    waves = surrogate.wave(quarters)
    for k in range(8):
        inner = np.abs((np.asarray(quarters) / 2.0**k) % 1 - 0.5) < 0.3
        plane = np.floor(np.asarray(quarters) / 2.0**k) % 2
        np.testing.assert_allclose(waves[k][inner], plane[inner], atol=0.11)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
@hypothesis.given(x=vectors)
@few
def test_derivative_is_the_gradient_of_the_wave_plus_offset(surrogate, x):
    with jax.enable_x64(True):
        expected = gradient_of_wave(surrogate, 2 * x) + getattr(surrogate, "offset", 0.0)
        error = np.abs(slopes(surrogate, 2 * x) - expected) * HALF_PERIODS

    assert error.max() < 1e-8


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
@hypothesis.given(x=vectors)
@few
def test_wave_and_derivative_of_plane_k_repeat_after_two_half_periods(surrogate, x):
    with jax.enable_x64(True):
        for k in range(7):
            later = x + 2.0 ** (k + 1)
            np.testing.assert_allclose(wave(surrogate, later)[k], wave(surrogate, x)[k], atol=1e-9)
            np.testing.assert_allclose(slopes(surrogate, later)[k], slopes(surrogate, x)[k], atol=1e-8)


@hypothesis.given(x=vectors)
@few
def test_tanh_sine_is_sigmoid_sine_of_twice_the_sharpness(x):
    tanh, sigmoid = core.TanhSine(-5.0), core.SigSine(-10.0)
    with jax.enable_x64(True):
        np.testing.assert_allclose(wave(tanh, x), wave(sigmoid, x), atol=1e-12)
        np.testing.assert_allclose(slopes(tanh, x), slopes(sigmoid, x), atol=1e-10)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_float32_is_accurate_to_a_hundredth_of_each_planes_largest_slope(surrogate):
    x = np.random.default_rng(0).uniform(0, 255, 2000).astype(np.float32)
    single = slopes(surrogate, x)
    with jax.enable_x64(True):
        double = np.asarray(slopes(surrogate, x.astype(np.float64)))

    assert single.dtype == jnp.float32
    error = np.abs(single - double).max(axis=1) / np.abs(double).max(axis=1)
    assert error.max() < 1e-2
    assert error[4:].max() < 1e-4  # these planes have nearly all of the rescaled gradient


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_derivative_is_somewhere_not_zero_in_every_plane(surrogate):
    derivative = np.asarray(surrogate.derivative(jnp.linspace(0.1, 254.9, 333)))

    assert (np.abs(derivative).max(axis=1) > 1e-3).all()
    assert np.isfinite(derivative).all()


def test_sigmoid_tails_do_not_cancel_in_float32():
    # Plane 7 near a quarter period: for u = 30, sigma(-u) would become 0 if it were computed as 1 - sigma(u).
    x = jnp.asarray([60.0, 188.0], jnp.float32)
    derivative = core.SigSine(alpha=-30.0).derivative(x)[7]
    u = -30 * np.sin(np.pi * np.asarray([60.0, 188.0]) / 128)
    expected = (
        np.exp(-np.abs(u))
        / (1 + np.exp(-np.abs(u))) ** 2
        * (-30 * np.pi / 128)
        * np.cos(np.pi * np.asarray([60.0, 188.0]) / 128)
    )

    np.testing.assert_allclose(derivative, expected, rtol=1e-4)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_rescaling_multiplies_each_plane_by_its_factor(surrogate):
    x = jnp.linspace(0, 255, 50)
    doubled = surrogate.derivative(x, lambda k: 2.0**k)

    np.testing.assert_allclose(doubled, surrogate.derivative(x) * HALF_PERIODS.astype(np.float32), rtol=1e-6)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_wave_is_smooth(x64, surrogate):
    x = jnp.asarray([0.4, 99.3, 254.1])
    check_grads(jax.jit(surrogate.wave), (x,), order=1, modes=["fwd", "rev"], eps=1e-5, rtol=1e-3)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=repr)
def test_derivative_survives_jit_and_vmap_and_keeps_shape_and_dtype(surrogate):
    x = jnp.linspace(0, 255, 12, dtype=jnp.float32).reshape(3, 4)
    derivative = surrogate.derivative(x)

    assert derivative.shape == (8, 3, 4)
    assert derivative.dtype == jnp.float32
    np.testing.assert_allclose(slopes(surrogate, x), derivative, atol=5e-3)
    np.testing.assert_allclose(jax.vmap(surrogate.derivative, out_axes=1)(x), derivative, atol=5e-3)


def test_surrogates_of_equal_parameters_are_equal_and_hash_alike():
    assert core.FourierSine(5, 0.5) == core.FourierSine()
    assert hash(core.SigSine(-10.0)) == hash(core.SigSine())
    assert core.SigSine() != core.TanhSine()


@pytest.mark.parametrize("order", [0, -1, 2.5])
def test_fourier_sine_refuses_an_impossible_order(order):
    with pytest.raises(ValueError, match=rf"order: expected a whole number of harmonics, 1 or more, got {order}"):
        core.FourierSine(order=order)


def test_a_users_own_surrogate_works_and_an_unfinished_one_says_what_is_missing():
    @dataclasses.dataclass(frozen=True)
    class Cosine(core.Surrogate):
        def value(self, sin, cos):
            return (1 - cos) / 2

        def slope(self, sin, cos, half_period):
            return math.pi / (2 * half_period) * sin

    @dataclasses.dataclass(frozen=True)
    class Unfinished(core.Surrogate):
        pass

    assert Cosine().wave(jnp.asarray(64.0))[7] == pytest.approx(0.5, abs=1e-6)
    assert Cosine().derivative(jnp.asarray(64.0))[7] == pytest.approx(math.pi / 256)
    with pytest.raises(TypeError, match=r"Unfinished defines no slope\(sin, cos, half_period\)"):
        Unfinished().derivative(jnp.zeros(()))
    with pytest.raises(TypeError, match=r"Unfinished defines no value\(sin, cos\)"):
        Unfinished().wave(jnp.zeros(()))

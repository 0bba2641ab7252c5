import dataclasses
import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax import core

few = hypothesis.settings(deadline=None, max_examples=25)
ALL = [core.ArcTan(), core.Sigmoid(), core.FastSigmoid(), core.Triangle(), core.Rectangle()]


@pytest.mark.parametrize(("u", "fires"), [(-1.0, 0), (-1e-7, 0), (0.0, 1), (1e-7, 1), (3.0, 1)])
def test_spike_fires_at_and_above_zero(u, fires):
    assert core.spike(jnp.asarray(u), core.ArcTan()) == fires


@pytest.mark.parametrize(
    ("surrogate", "u", "expected"),
    [
        (core.ArcTan(), 0.0, 1.0),
        (core.ArcTan(), 1 / math.pi, 0.5),
        (core.ArcTan(alpha=4.0), 1 / math.pi, 0.4),  # 2 / (1 + 4)
        (core.Sigmoid(), 0.0, 1.0),
        (core.Sigmoid(alpha=1.0), math.log(3), 3 / 16),  # the logistic function of log 3 is 3/4
        (core.FastSigmoid(), 0.1, 0.25),
        (core.FastSigmoid(alpha=1.0), -2.0, 1 / 9),
        (core.Triangle(), 0.25, 0.75),
        (core.Triangle(gamma=0.5, width=2.0), -1.0, 0.25),
        (core.Triangle(), 1.5, 0.0),
        (core.Rectangle(width=2.0), 0.9, 0.5),
        (core.Rectangle(width=2.0), -1.1, 0.0),
    ],
    ids=repr,
)
def test_derivative_has_its_closed_form(surrogate, u, expected):
    assert surrogate.derivative(jnp.asarray(u, jnp.float32)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("surrogate", "area"),
    [
        (core.ArcTan(), 1.0),
        (core.ArcTan(alpha=5.0), 1.0),
        (core.Sigmoid(), 1.0),
        (core.FastSigmoid(), 0.2),  # 2 / alpha
        (core.Triangle(gamma=0.3, width=2.0), 0.6),
        (core.Rectangle(width=3.0), 1.0),
    ],
    ids=repr,
)
def test_derivative_has_its_area(x64, surrogate, area):
    u = np.linspace(-400, 400, 800_001)
    derivative = np.asarray(surrogate.derivative(jnp.asarray(u)))

    assert derivative.sum() * (u[1] - u[0]) == pytest.approx(area, rel=3e-3)


@pytest.mark.parametrize("surrogate", ALL, ids=repr)
@hypothesis.given(u=st.floats(-3, 3, width=32))
@few
def test_derivative_is_even_and_largest_at_the_threshold(surrogate, u):
    here, there, top = (float(surrogate.derivative(jnp.asarray(v, jnp.float32))) for v in (u, -u, 0.0))

    assert here == pytest.approx(there, rel=1e-3)
    assert 0 <= here <= top * (1 + 1e-6)


@pytest.mark.parametrize("surrogate", ALL, ids=repr)
def test_gradient_of_the_spike_is_the_surrogates_derivative(surrogate):
    u = jnp.linspace(-2, 2, 41)
    weights = jnp.arange(41.0)
    reverse = jax.jit(jax.grad(lambda u: (weights * core.spike(u, surrogate)).sum()))(u)
    forward = jax.vmap(lambda u: jax.jvp(lambda v: core.spike(v, surrogate), (u,), (jnp.float32(3),))[1])(u)

    np.testing.assert_allclose(reverse, weights * surrogate.derivative(u), rtol=1e-6)
    np.testing.assert_allclose(forward, 3 * surrogate.derivative(u), rtol=1e-6)
    assert np.abs(reverse).max() > 0


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
@pytest.mark.parametrize("surrogate", ALL, ids=repr)
def test_shape_and_dtype_are_kept(surrogate, dtype):
    u = jnp.linspace(-1, 1, 6, dtype=dtype).reshape(2, 3)
    gradient = jax.grad(lambda u: core.spike(u, surrogate).sum())(u)

    assert core.spike(u, surrogate).dtype == surrogate.derivative(u).dtype == gradient.dtype == dtype
    assert core.spike(u, surrogate).shape == gradient.shape == (2, 3)


def test_a_users_own_surrogate_needs_only_a_derivative():
    @dataclasses.dataclass(frozen=True)
    class Straight:
        slope: float

        def derivative(self, u):
            return jnp.full_like(u, self.slope)

    assert jax.grad(core.spike)(jnp.asarray(0.3), Straight(2.5)) == 2.5


def test_surrogates_are_hashable_values():
    assert len({core.ArcTan(), core.ArcTan(2.0), core.ArcTan(3.0), core.Sigmoid(2.0)}) == 3

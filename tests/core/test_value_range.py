import functools

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
numbers = st.floats(-100, 100, width=32)


@functools.partial(jax.jit, static_argnums=1)
def scaled(x, group=None):
    x = jnp.asarray(x)
    return core.scale_to_unit(x, *core.value_bounds(x, group))


def test_values_already_in_the_unit_interval_are_kept():
    np.testing.assert_array_equal(scaled([[0.25, 0.75], [0.5, 0.5]]), [[0.25, 0.75], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([-1.0, 0.0, 3.0], [0.0, 0.25, 1.0]),
        ([0.0, 1.0, 4.0], [0.0, 0.25, 1.0]),
        ([-0.5, 0.5], [0.0, 1.0]),  # below 0, though not above 1
        ([10.0, 20.0, 12.5], [0.0, 1.0, 0.25]),
    ],
)
def test_other_values_are_mapped_by_their_minimum_and_maximum(x, expected):
    np.testing.assert_allclose(scaled(x), expected, rtol=1e-6)


@pytest.mark.parametrize("group", [None, 1, 2])
def test_extremes_become_exactly_0_and_1_however_the_division_is_compiled(group):
    """Multiplying by the rounded inverse of the span would map 1 in 6 of the largest values to less than 1."""
    x = np.random.default_rng(0).uniform(1, 7, (4096, 3)).astype(np.float32)
    unit = np.asarray(scaled(x, group)).reshape(-1, 3 * (group or 4096))
    np.testing.assert_array_equal(unit.min(axis=1), 0)
    np.testing.assert_array_equal(unit.max(axis=1), 1)


@pytest.mark.parametrize("constant", [-2.0, 1.5])
def test_a_constant_outside_the_unit_interval_becomes_ones(constant):
    np.testing.assert_array_equal(scaled(np.full((2, 3), constant, np.float32)), np.ones((2, 3)))


def test_a_constant_inside_the_unit_interval_is_kept():
    np.testing.assert_array_equal(scaled(np.full((2, 3), 0.375, np.float32)), np.full((2, 3), 0.375))


def test_gradient_through_a_constant_is_finite():
    gradient = jax.grad(lambda x: scaled(x).sum())(jnp.full((4,), 7.0))

    assert np.isfinite(gradient).all()


def test_a_group_of_one_gives_each_example_its_own_range():
    x = jnp.asarray([[0.0, 0.5], [0.0, 2.0], [-1.0, 1.0]])
    low, high = core.value_bounds(x, 1)

    assert low.shape == high.shape == (3, 1)
    np.testing.assert_array_equal(low[:, 0], [0.0, 0.0, -1.0])
    np.testing.assert_array_equal(high[:, 0], [1.0, 2.0, 1.0])


def test_a_group_of_two_shares_its_range_between_neighbours():
    low, high = core.value_bounds(jnp.asarray([[0.0, 3.0], [-1.0, 2.0], [0.25, 0.5], [0.0, 1.0]]), 2)

    np.testing.assert_array_equal(low[:, 0], [-1.0, -1.0, 0.0, 0.0])
    np.testing.assert_array_equal(high[:, 0], [3.0, 3.0, 1.0, 1.0])


@hypothesis.given(hnp.arrays(np.float32, (6, 2, 3), elements=numbers), st.sampled_from([1, 2, 3, 6]))
@few
def test_groups_do_not_see_each_other(x, group):
    together = scaled(x, group)
    alone = np.concatenate([scaled(x[i : i + group]) for i in range(0, 6, group)])

    np.testing.assert_array_equal(together, alone)


@hypothesis.given(hnp.arrays(np.float32, (3, 4), elements=numbers))
@few
def test_scaled_values_lie_in_the_unit_interval(x):
    y = np.asarray(scaled(x))

    assert y.min() >= 0
    assert y.max() <= 1


@pytest.mark.parametrize("group", [0, 3, 5, -2])
def test_a_group_that_does_not_divide_the_batch_is_refused_with_the_fix(group):
    message = rf"expected a divisor of the batch of 4 examples, got {group}; choose a batch size that is a multiple"
    with pytest.raises(ValueError, match=message):
        core.value_bounds(jnp.zeros((4, 2)), group)


def test_values_beyond_given_bounds_saturate_and_pass_no_gradient():
    low, high = jnp.asarray(-1.0), jnp.asarray(3.0)
    x = jnp.asarray([-5.0, -1.0, 1.0, 3.0, 9.0])

    np.testing.assert_array_equal(core.scale_to_unit(x, low, high), [0.0, 0.0, 0.5, 1.0, 1.0])
    gradient = jax.grad(lambda x: core.scale_to_unit(x, low, high).sum())(x)
    np.testing.assert_array_equal(gradient, [0.0, 0.25, 0.25, 0.25, 0.0])


def test_minimum_and_maximum_are_differentiated():
    # y = (x - a) / (b - a) with a = -1, b = 3: the derivatives of the middle value with respect to a, x and b.
    gradient = jax.grad(lambda x: scaled(x)[1])(jnp.asarray([-1.0, 0.0, 3.0]))

    np.testing.assert_allclose(gradient, [-3 / 16, 1 / 4, -1 / 16], rtol=1e-6)


@pytest.mark.parametrize("group", [None, 1, 2])
def test_gradient_is_numerically_right_away_from_ties(x64, group):
    x = jnp.asarray(np.random.default_rng(0).normal(0, 3, (4, 5)))
    check_grads(lambda x: scaled(x, group), (x,), order=1, modes=["fwd", "rev"])


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_dtype_is_kept(dtype):
    assert scaled(jnp.asarray([-1.0, 2.0], dtype)).dtype == dtype


def test_jit_and_vmap_agree_with_plain_calls():
    x = jnp.asarray(np.random.default_rng(1).normal(0, 3, (4, 5)), jnp.float32)

    plain = core.scale_to_unit(x, *core.value_bounds(x, 2))
    np.testing.assert_allclose(scaled(x, 2), plain, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(scaled)(x), scaled(x, 1), rtol=1e-6)


def plainly(x, group=None, bounds_move=True):
    """What `scale_to_own_range` returns, with the gradient that JAX finds."""
    bounds = core.value_bounds(x, group)
    if not bounds_move:
        bounds = jax.lax.stop_gradient(bounds)
    return core.scale_to_unit(x, *bounds), bounds


RANGES = {
    "all in the unit interval": (0, 1),
    "some above": (0, 3),
    "some below": (-2, 1),
    "none in it": (5, 9),
}


@pytest.mark.parametrize("group", [None, 1, 2])
@pytest.mark.parametrize("name", RANGES)
def test_scaling_by_the_own_range_is_scaling_by_its_bounds(name, group):
    x = jnp.asarray(np.random.default_rng(0).uniform(*RANGES[name], (4, 3, 5)), jnp.float32)

    (unit, bounds), (expected, expected_bounds) = (
        jax.jit(f, static_argnums=1)(x, group) for f in (core.scale_to_own_range, plainly)
    )
    np.testing.assert_allclose(unit, expected, rtol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, bounds, expected_bounds)
    low, high = (np.asarray(bound) for bound in bounds)
    np.testing.assert_array_equal(unit, (np.asarray(x) - low) / (high - low))  # not a product with the inverse


@pytest.mark.parametrize("bounds_move", [True, False])
@pytest.mark.parametrize("group", [None, 1, 2])
@pytest.mark.parametrize("name", RANGES)
def test_its_gradient_is_that_which_jax_finds(x64, name, group, bounds_move):
    rng = np.random.default_rng(1)
    low, high = RANGES[name]
    x = jnp.asarray(np.round(rng.uniform(low, high, (4, 4, 5)) * 2) / 2)  # rounded, so that extremes are tied
    weights = jnp.asarray(rng.normal(size=x.shape))

    def gradient(scale):
        return jax.grad(lambda x: jnp.sum(weights * scale(x, group, bounds_move)[0]))(x)

    assert np.sum(x == x.min()) > 1
    np.testing.assert_allclose(gradient(core.scale_to_own_range), gradient(plainly), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("constant", [-2.0, 0.375, 7.0])
def test_the_gradient_of_a_constant_is_that_which_jax_finds(constant):
    x = jnp.full((2, 3), constant)
    found, expected = (jax.grad(lambda x, f=f: f(x)[0].sum())(x) for f in (core.scale_to_own_range, plainly))

    np.testing.assert_array_equal(found, expected)


def test_a_narrow_dtype_is_scaled_in_float32_and_has_a_gradient_of_its_own():
    x = jnp.asarray([-1.0, 0.5, 2.0], jnp.bfloat16)
    unit, backward = jax.vjp(lambda x: core.scale_to_own_range(x)[0], x)

    assert unit.dtype == jnp.float32
    assert backward(jnp.ones(3))[0].dtype == jnp.bfloat16


def test_no_gradient_flows_through_the_bounds_that_are_returned():
    gradient = jax.grad(lambda x: sum(core.scale_to_own_range(x)[1]))(jnp.asarray([-1.0, 0.5, 2.0]))

    np.testing.assert_array_equal(gradient, np.zeros(3))


def test_a_group_that_does_not_divide_the_batch_is_refused_here_too():
    with pytest.raises(ValueError, match="expected a divisor of the batch of 4 examples, got 3"):
        core.scale_to_own_range(jnp.zeros((4, 2)), 3)

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax.core import reductions

AXES = [(0,), (1, 2), (0, 1, 2)]
rng = np.random.default_rng(0)


def reductions_of(function, platform, *args):
    """How many reductions the function's program for a platform has."""
    return jax.jit(function).trace(*args).lower(lowering_platforms=(platform,)).as_text().count("stablehlo.reduce")


@pytest.mark.parametrize("axes", AXES)
def test_several_sums_are_the_same_apart_and_at_once(axes):
    arrays = tuple(jnp.asarray(rng.normal(size=(5, 6, 7)), jnp.float32) for _ in range(3))
    expected = [np.asarray(x, np.float64).sum(axes) for x in arrays]

    for found in (
        reductions.sums(arrays, axes),
        reductions.sums_apart(arrays, axes),
        reductions.sums_at_once(arrays, axes),
    ):
        for each, exact in zip(found, expected, strict=True):
            assert each.dtype == jnp.float32
            np.testing.assert_allclose(each, exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_extremes_are_the_same_apart_and_at_once(axes, dtype):
    x = jnp.asarray(rng.normal(size=(5, 6, 7)), dtype)
    exact = np.asarray(x, np.float32)

    for find in (reductions.extremes, reductions.extremes_apart, reductions.extremes_at_once):
        low, high = find(x, axes)
        assert low.dtype == high.dtype == x.dtype
        np.testing.assert_array_equal(low.astype(jnp.float32), exact.min(axes))
        np.testing.assert_array_equal(high.astype(jnp.float32), exact.max(axes))


@pytest.mark.parametrize("find", [reductions.extremes, reductions.extremes_apart, reductions.extremes_at_once])
def test_extremes_of_what_is_not_a_number_are_not_numbers(find):
    assert np.isnan(find(jnp.asarray([1.0, np.nan, 2.0]), (0,))).all()


@pytest.mark.parametrize(("platform", "number"), [("cpu", 2), ("tpu", 2), ("cuda", 1), ("rocm", 1)])
def test_a_gpu_takes_them_by_one_reduction(platform, number):
    x = jnp.ones((4, 3))

    assert reductions_of(lambda x: reductions.extremes(x, (0,)), platform, x) == number
    assert reductions_of(lambda x: reductions.sums((x, x * x), (0,)), platform, x) == number


@pytest.mark.parametrize(
    ("shape", "axes", "number"),
    [((4, 1, 3, 2), (0, 2), 1), ((4, 1, 3, 2), (0, 1, 2), 1), ((4, 5, 3, 2), (1, 2), 1), ((4, 5, 3, 2), (0, 2), 2)],
)
def test_a_gpu_takes_sums_at_once_over_axes_that_are_next_to_each_other(shape, axes, number):
    x = jnp.ones(shape)

    assert reductions_of(lambda x: reductions.sums((x, x * x), axes), "cuda", x) == number

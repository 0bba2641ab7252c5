import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax.core.division import divided


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("divisor", [255, 3, 0.7])
def test_a_quotient_is_correctly_rounded_however_it_is_compiled(x64, dtype, divisor):
    """A product with the rounded inverse is not: of the numbers to 255 by 255, it would miss some."""
    x = np.arange(1000, dtype=dtype)
    exact = x / np.asarray(divisor, dtype)
    assert np.any(x * (1 / np.asarray(divisor, dtype)) != exact)

    for given in (divisor, jnp.asarray(divisor, dtype), jnp.full(1000, divisor, dtype)):
        np.testing.assert_array_equal(jax.jit(lambda x, given=given: divided(x, given))(x), exact)
        np.testing.assert_array_equal(jax.jit(divided)(x, given), exact)


def test_by_infinity_it_is_zero():
    np.testing.assert_array_equal(jax.jit(divided)(jnp.asarray([-3.0, 0.0, 5.0]), jnp.inf), np.zeros(3))

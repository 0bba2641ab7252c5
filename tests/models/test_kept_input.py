import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax.models.convolution import convolve
from hasnn_jax.models.kept_input import AS_IT_IS, as_bytes, convolve_kept
from hasnn_jax.models.time_folding import time_folded


def by_steps(x, kernel):
    return time_folded(functools.partial(convolve, stride=1), x, kernel)


def draw(shape, dtype):
    rng = np.random.default_rng(len(shape))
    x = jnp.asarray(rng.integers(0, 2, shape), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(3, 3, shape[-1], 4)), dtype)
    return x, kernel, jnp.asarray(rng.normal(size=(*shape[:-1], 4)), dtype)


CASES = {
    "bytes": (as_bytes(8), (8, 2, 5, 5, 3)),
    "bytes of three steps": (as_bytes(3), (3, 2, 5, 5, 3)),
    "as it is": (AS_IT_IS, (2, 5, 5, 3)),
}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", CASES)
def test_convolution_and_gradients_are_the_same(name, dtype):
    kept, shape = CASES[name]
    x, kernel, cotangent = draw(shape, dtype)
    y, differentiate = jax.vjp(functools.partial(convolve_kept, kept, by_steps), x, kernel)
    expected, by_jax = jax.vjp(lambda x, kernel: by_steps(x.astype(dtype), kernel), x, kernel)
    np.testing.assert_array_equal(y, expected)
    for found, wanted in zip(differentiate(cotangent), by_jax(cotangent), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found.astype(jnp.float32), wanted.astype(jnp.float32), rtol=1e-5)


def test_a_byte_is_kept_for_all_time_steps():
    x, kernel, _ = draw((8, 2, 5, 5, 3), jnp.bfloat16)
    _, differentiate = jax.vjp(functools.partial(convolve_kept, as_bytes(8), by_steps), x, kernel)
    arrays = [leaf for leaf in jax.tree.leaves(differentiate) if leaf.ndim]
    assert sorted((leaf.dtype.name, leaf.shape) for leaf in arrays) == [
        ("bfloat16", kernel.shape),
        ("uint8", x.shape[1:]),
    ]

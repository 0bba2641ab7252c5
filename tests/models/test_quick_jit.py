import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hasnn_jax.models.quick_jit import LEVEL, quick_jit


@pytest.fixture
def without_flags(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)  # XLA itself has read them


def inside_of_another(function):
    """Calls it where JAX takes no function that is compiled with options."""
    return jax.jit(lambda x: function(x))(0.0)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="options are given on a CPU only")
def test_on_a_cpu_it_is_compiled_with_options(without_flags):
    with pytest.raises(ValueError, match=f"compiler_options={{'{LEVEL}': 1}}"):
        inside_of_another(quick_jit(jnp.sin))


def test_a_level_that_xla_flags_set_is_left_alone(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"--xla_other=1 --{LEVEL}=3")
    assert inside_of_another(quick_jit(jnp.sin)) == 0


def test_other_platforms_are_left_alone(without_flags, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    function = quick_jit(jnp.sin)
    monkeypatch.undo()
    assert inside_of_another(function) == 0


def test_it_passes_on_what_jit_takes(without_flags):
    assert quick_jit(lambda x, n: x**n, static_argnums=1)(jnp.float32(3), 2) == 9


@pytest.mark.parametrize(
    "draw", [jax.random.normal, jax.random.uniform, functools.partial(jax.random.truncated_normal, lower=-2, upper=2)]
)
def test_random_numbers_are_those_of_jit(draw, without_flags):
    draw = functools.partial(draw, shape=(33, 7))
    key = jax.random.key(5)
    np.testing.assert_allclose(quick_jit(draw)(key), jax.jit(draw)(key), rtol=1e-6, atol=1e-6)

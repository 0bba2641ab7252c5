"""The cost of a real program."""

import jax
import jax.numpy as jnp
import pytest

from hasnn_jax.planning.step_cost import read_cost


def test_cost_of_a_real_program_counts_a_scan_as_often_as_it_runs():
    def products(x, repeated):
        step = lambda x, _: (jnp.tanh(x @ x), None)  # noqa: E731
        return jax.lax.scan(step, x, None, length=5)[0] if repeated else step(x, None)[0]

    x = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    once, five = (
        read_cost(jax.jit(products, static_argnums=1).lower(x, repeated).compile(), devices=1, accumulation_steps=5)
        for repeated in (False, True)
    )
    assert once.flops == pytest.approx(2 * 64**3, rel=0.1)
    assert five.flops == pytest.approx(5 * once.flops, rel=0.01)
    assert five.memory.arguments == five.memory.results == 4 * 64**2
    assert five.memory.peak >= five.memory.arguments
    assert five.cycles is None
    assert five.collectives == ()

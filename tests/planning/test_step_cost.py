"""The cost of a real program."""

import jax
import jax.numpy as jnp
import pytest

from hasnn_jax.planning.hlo_parser import parse_hlo
from hasnn_jax.planning.profile import read_profile
from hasnn_jax.planning.step_cost import read_cost


def cost_of(compiled, **settings):
    program = parse_hlo(compiled.as_text())
    return read_cost(compiled, program, read_profile(program), devices=1, **settings)


def test_cost_of_a_real_program_counts_a_scan_as_often_as_it_runs():
    def products(x, repeated):
        step = lambda x, _: (jnp.tanh(x @ x), None)  # noqa: E731
        return jax.lax.scan(step, x, None, length=5)[0] if repeated else step(x, None)[0]

    x = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    once, five = (
        cost_of(jax.jit(products, static_argnums=1).lower(x, repeated).compile(), accumulation_steps=5)
        for repeated in (False, True)
    )
    assert once.flops == pytest.approx(2 * 64**3, rel=0.1)
    assert five.flops == pytest.approx(5 * once.flops, rel=0.01)
    assert five.memory.arguments == five.memory.results == 4 * 64**2
    assert five.memory.peak >= five.memory.arguments
    assert five.cycles is None
    assert five.collectives == ()


def test_work_is_counted_in_the_text_where_xla_does_not_count_it():
    class WithoutAnalysis:
        """As compiled for a GPU that is not present."""

        memory_analysis = staticmethod(lambda: compiled.memory_analysis())
        as_text = staticmethod(lambda: compiled.as_text())
        cost_analysis = staticmethod(lambda: None)

    x = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    compiled = jax.jit(lambda x: x @ x).lower(x).compile()
    counted, analysed = cost_of(WithoutAnalysis), cost_of(compiled)
    assert counted.flops == analysed.flops == 2 * 64**3
    assert counted.bytes_accessed == 2 * 4 * 64**2  # the matrix is one operand, though both factors
    assert counted.kernels == 1

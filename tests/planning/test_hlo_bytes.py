"""Bytes that instructions read and write, against counts by hand."""

import jax
import jax.numpy as jnp
import pytest

from hasnn_jax.planning.hlo_bytes import touched_bytes
from hasnn_jax.planning.hlo_parser import parse_hlo
from hasnn_jax.planning.hlo_walk import launches


def touched(text):
    """name -> bytes of one run."""
    program = parse_hlo(text)
    return {launch.instruction.name: touched_bytes(program, launch) for launch in launches(program)}


def compiled(function, *sizes):
    """The text of a function of float32 arrays, compiled for the CPU."""
    return jax.jit(function).lower(*(jax.ShapeDtypeStruct(size, jnp.float32) for size in sizes)).compile().as_text()


@pytest.mark.parametrize(
    ("function", "sizes", "elements"),
    [
        (lambda x: jnp.tanh(x) + 1, [(100,)], 100 + 100),
        (lambda x, y: x * y, [(100,), (100,)], 3 * 100),
        (lambda x: jax.lax.dynamic_slice(x, (3,), (10,)) * 2, [(100,)], 10 + 10),
        (lambda x: jnp.sum(x, axis=0), [(20, 5)], 100 + 5 + 1),  # and the initial value
    ],
)
def test_compiled_function_reads_its_arguments_and_writes_its_result(function, sizes, elements):
    assert sum(touched(compiled(function, *sizes)).values()) == 4 * elements


def test_scan_reads_and_writes_one_row_at_a_time():
    text = compiled(lambda rows, x: jax.lax.scan(lambda x, row: (x + row, x * 2), x, rows), (50, 64), (64,))
    runs = [(launch, touched_bytes(parse_hlo(text), launch)) for launch in launches(parse_hlo(text))]
    in_loop = [size for launch, size in runs if launch.times == 50]
    row = 4 * 64
    assert max(in_loop) <= 3 * row + 8  # carry, row and result, and the loop's counter
    assert sum(in_loop) < 10 * row


FUSED = """HloModule step
%sliced (p0: f32[1000], p1: s32[], p2: f32[10]) -> f32[10] {
  %p0 = f32[1000]{0} parameter(0)
  %same = f32[100,10]{1,0} bitcast(%p0)
  %p1 = s32[] parameter(1)
  %zero = s32[] constant(0)
  %row = f32[1,10]{1,0} dynamic-slice(%same, %p1, %zero), dynamic_slice_sizes={1,10}
  %other = f32[1,10]{1,0} slice(%same), slice={[2:3], [0:10]}
  %p2 = f32[10]{0} parameter(2)
  ROOT %sum = f32[10]{0} add(%row, %p2)
}
%updated (p0: f32[1000], p1: f32[10], p2: s32[]) -> (f32[1000], f32[10]) {
  %p0 = f32[1000]{0} parameter(0)
  %p1 = f32[10]{0} parameter(1)
  %p2 = s32[] parameter(2)
  %new = f32[1000]{0} dynamic-update-slice(%p0, %p1, %p2)
  %copied = f32[10]{0} copy(%p1)
  ROOT %both = (f32[1000]{0}, f32[10]{0}) tuple(%new, %copied)
}
%mixed (p0: f32[1000], p1: s32[]) -> f32[1000] {
  %p0 = f32[1000]{0} parameter(0)
  %p1 = s32[] parameter(1)
  %part = f32[10]{0} dynamic-slice(%p0, %p1), dynamic_slice_sizes={10}
  ROOT %all = f32[1000]{0} negate(%p0)
}
ENTRY %main (a: f32[1000], i: s32[], b: f32[10]) -> f32[10] {
  %a = f32[1000]{0} parameter(0)
  %i = s32[] parameter(1)
  %b = f32[10]{0} parameter(2)
  %of_slices = f32[10]{0} fusion(%a, %i, %b), kind=kLoop, calls=%sliced
  %of_update = (f32[1000]{0}, f32[10]{0}) fusion(%a, %b, %i), kind=kLoop, calls=%updated
  %of_both = f32[1000]{0} fusion(%a, %i), kind=kLoop, calls=%mixed
  %slice = f32[10]{0} dynamic-slice(%a, %i), dynamic_slice_sizes={10}
  %update = f32[1000]{0} dynamic-update-slice(%a, %b, %i)
  %twice = f32[10]{0} add(%b, %b)
  %conv = (f32[10]{0}, u8[0]{0}) custom-call(%b, %b), custom_call_target="__cudnn$convForward"
  %start = (f32[1000]{0}, f32[1000]{0}, u32[]) copy-start(%a)
  %done = f32[1000]{0} copy-done(%start)
  ROOT %empty = f32[10]{0} fusion(), kind=kLoop, calls=%nothing
}
"""


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("of_slices", 4 * (10 + 10) + 4 + 40 + 40),  # two slices, the index, an array, the result
        ("of_update", 0 + 40 + 4 + 40 + 40),  # nothing of the array, the update and its place; update and copy
        ("of_both", 4000 + 4 + 4000),
        ("slice", 40 + 40),
        ("update", 40 + 40),
        ("twice", 40 + 40),
        ("conv", 40 + 40),
        ("done", 4000 + 4000),
        ("empty", 40),
    ],
)
def test_bytes_of_each_instruction_are_those_counted_by_hand(name, size):
    assert touched(FUSED)[name] == size

"""The profile of a real train step of a tiny hybrid, compiled for the CPU, and of hand-written HLO with cycles."""

import jax
import pytest
from tiny_runs import tiny_config

from hasnn_jax.planning.compilation import lower_step
from hasnn_jax.planning.hlo_parser import parse_hlo
from hasnn_jax.planning.hlo_totals import sum_up
from hasnn_jax.planning.profile import read_profile
from hasnn_jax.training import sharding


@pytest.fixture(scope="module")
def program():
    mesh = sharding.make_mesh(jax.devices()[:1])
    return parse_hlo(lower_step(tiny_config(batch_size=32), mesh, 1438, 1).compile().as_text())


def test_parts_add_up_to_the_whole(program):
    profile = read_profile(program)
    assert profile.bytes > 0
    assert profile.cycles == 0  # the CPU compiler estimates none
    assert len({(part.block, part.path, part.direction) for part in profile.parts}) == len(profile.parts)
    for key in (lambda part: part.block, lambda part: part.path, lambda part: part.direction):
        sums = profile.sums(key).values()
        assert sum(part.bytes for part in sums) == profile.bytes
        assert sum(part.kernels for part in sums) == profile.kernels
        assert sum(part.bytes / profile.bytes for part in sums) == pytest.approx(1)


def test_every_block_path_and_direction_of_a_hybrid_is_found(program):
    profile = read_profile(program)
    places = {(part.block, part.path, part.direction) for part in profile.parts}
    for block in ("block1", "block2", "head"):
        for path in ("ann", "snn"):
            assert {(block, path, "forward"), (block, path, "backward")} <= places
        assert (block, "encoder", "forward") in places
    assert "decoder" in {path for _, path, _ in places}
    assert ("optimizer", "", "update") in places
    assert {"loss", "HybridVGG"} & {block for block, _, _ in places}
    unnamed = [part for part in profile.parts if part.block is None]
    assert sum(part.bytes for part in unnamed) < 0.05 * profile.bytes


def test_costliest_kernels_are_in_the_order_of_their_bytes(program):
    profile = read_profile(program)
    sizes = [kernel.bytes for kernel in profile.costliest]
    assert len(sizes) == 20
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) <= profile.bytes


def estimated(cycles):
    return f'backend_config={{"window_config":{{"estimated_cycles":"{cycles}"}}}}'


def test_cycles_are_those_of_the_totals_and_decide_what_is_costliest():
    text = f"""HloModule step
%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {{
  %r = f32[8]{{0}} fusion(%x), calls=%none, metadata={{op_name="jit(s)/jvp(Net)/stem/snn/add"}}, {estimated(7)}
}}
%condition (q: (s32[], f32[8])) -> pred[] {{
  %n = s32[] constant(4)
  ROOT %less = pred[] compare(%i, %n), direction=LT, {estimated(1)}
}}
ENTRY %main (p: f32[1000]) -> f32[8] {{
  %p = f32[1000]{{0}} parameter(0)
  %big = f32[1000]{{0}} negate(%p), metadata={{op_name="jit(s)/sub"}}
  %w = (s32[], f32[8]) while(%t), condition=%condition, body=%body
  ROOT %o = f32[8]{{0}} negate(%u), metadata={{op_name="jit(s)/transpose(jvp(Net))/stem/mul"}}, {estimated(100)}
}}
"""
    program = parse_hlo(text)
    profile = read_profile(program)
    assert profile.cycles == sum_up(program, program.name, 1).cycles == 100 + 4 * (7 + 1)
    assert [kernel.name for kernel in profile.costliest] == ["o", "r", "less", "big"]
    assert {(part.block, part.path, part.direction): part.cycles for part in profile.parts} == {
        ("optimizer", "", "update"): 0,
        ("stem", "snn", "forward"): 28,
        (None, None, None): 4,
        ("stem", "decoder", "backward"): 100,
    }
    assert profile.kernels == 1 + 4 + 4 + 1

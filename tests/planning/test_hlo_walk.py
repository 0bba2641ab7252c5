"""What a compiled program launches, and how often, in hand-written HLO."""

import pytest

from hasnn_jax.planning.hlo_parser import parse_hlo
from hasnn_jax.planning.hlo_walk import launches

TEXT = """HloModule step
%fused (x: f32[8]) -> f32[8] {
  %x = f32[8]{0} parameter(0)
  ROOT %negated = f32[8]{0} negate(%x)
}
%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %p = (s32[], f32[8]) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %v = f32[8]{0} get-tuple-element(%p), index=1
  %in_loop = f32[8]{0} fusion(%v), kind=kLoop, calls=%fused
  ROOT %t = (s32[], f32[8]) tuple(%i, %in_loop)
}
%condition (q: (s32[], f32[8])) -> pred[] {
  %q = (s32[], f32[8]) parameter(0)
  %j = s32[] get-tuple-element(%q), index=0
  %n = s32[] constant(3)
  ROOT %less = pred[] compare(%j, %n), direction=LT
}
%called (y: f32[8]) -> f32[8] {
  %y = f32[8]{0} parameter(0)
  ROOT %in_call = f32[8]{0} copy(%y)
}
%wrapped (z: f32[8]) -> f32[2] {
  %z = f32[8]{0} parameter(0)
  ROOT %scattered = f32[2]{0} reduce-scatter(%z), replica_groups={{0,1,2,3}}, to_apply=%add
}
ENTRY %main (a: f32[8]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  %first = f32[8]{0} fusion(%a), kind=kLoop, calls=%fused
  %renamed = f32[2,4]{1,0} bitcast(%first)
  %start = ((f32[8]{0}), f32[8]{0}) all-reduce-start((f32[8]{0}) %first), to_apply=%add
  %done = f32[8]{0} all-reduce-done(((f32[8]{0}), f32[8]{0}) %start)
  %begin = ((f32[8]{0}), f32[2]{0}) async-start(%done), calls=%wrapped
  %end = f32[2]{0} async-done(%begin)
  %w = (s32[], f32[8]) while(%t), condition=%condition, body=%body
  %joined = f32[2048]{0} custom-call(%x, %y), custom_call_target="ConcatBitcast"
  ROOT %last = f32[8]{0} call(%done), to_apply=%called
}
"""


def launched(text):
    return {launch.instruction.name: launch for launch in launches(parse_hlo(text))}


def test_what_runs_is_visited_as_often_as_it_runs():
    assert {name: launch.times for name, launch in launched(TEXT).items()} == {
        "first": 1,
        "done": 1,
        "scattered": 1,
        "in_loop": 3,
        "less": 3,
        "in_call": 1,
    }


def test_operands_of_an_asynchronous_pair_are_those_of_its_beginning():
    found = launched(TEXT)
    assert found["done"].begun_by.name == "start"
    assert [operand.name for operand in found["done"].operands] == ["first"]
    assert found["first"].begun_by is found["first"].instruction
    assert [operand.name for operand in found["in_loop"].operands] == ["v"]


@pytest.mark.parametrize(("estimated", "name"), [({}, "b2"), ({"small": 50}, "s1"), ({"small": 5, "big": 9}, "b1")])
def test_conditional_is_its_costlier_branch(estimated, name):
    def copies(branch, *names):
        cycles = f', backend_config={{"estimated_cycles":"{estimated[branch]}"}}' if branch in estimated else ""
        lines = "".join(f"  %{each} = f32[8]{{0}} copy(%x){cycles}\n" for each in names)
        return f"%{branch} (x: f32[8]) -> f32[8] {{\n{lines}}}\n"

    entry = "ENTRY %main (p: f32[8]) -> f32[8] {\n  %c = f32[8]{0} conditional(%i, %p, %p), "
    text = copies("small", "s1") + copies("big", "b1", "b2") + entry + "branch_computations={%small, %big}\n}\n"
    assert name in launched(text)
    assert len({each[0] for each in launched(text)}) == 1

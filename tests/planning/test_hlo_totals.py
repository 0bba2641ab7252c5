"""Sums over hand-written HLO, as XLA's CPU and TPU compilers write it."""

import pytest

from hasnn_jax.planning.hlo_parser import parse_hlo
from hasnn_jax.planning.hlo_totals import Collective, by_kind, sum_up

ALL_FOUR = "replica_groups={{0,1,2,3}}, use_global_device_ids=true, to_apply=%add"


def totals(text, devices=4):
    program = parse_hlo(text)
    return sum_up(program, program.name, devices)


def collectives(*lines, before="", devices=4):
    entry = "\n".join(f"  {line}" for line in lines)
    text = f"HloModule step, is_scheduled=true\n\n{before}\nENTRY %main (p: f32[8]) -> f32[8] {{\n{entry}\n}}\n"
    return by_kind(totals(text, devices).collectives)


def estimated(cycles):
    return f'backend_config={{"window_config":{{"estimated_cycles":"{cycles}","iteration_bounds":["1"]}}}}'


def test_variadic_all_reduce_counts_every_array():
    found = collectives(f"%all-reduce.1 = (f32[1000]{{0}}, /*index=1*/bf16[500]{{0}}) all-reduce(%a, %b), {ALL_FOUR}")
    assert found == (Collective("all-reduce", 1, 5000, 2 * 3 / 4 * 5000),)


def test_collectives_of_one_channel_are_all_counted():
    line = f"f32[10]{{0}} all-reduce(%a), channel_id=1, {ALL_FOUR}"
    assert collectives(f"%r.1 = {line}", f"ROOT %r.2 = {line}")[0].count == 2


def test_asynchronous_pair_is_one_collective_with_the_size_of_its_result():
    found = collectives(
        "%ag-start = (f32[2]{0}, f32[8]{0}) all-gather-start(%p), replica_groups=[1,4]<=[4], dimensions={0}",
        "%other = f32[2]{0} add(%p, %p)",
        "%ag-done = f32[8]{0} all-gather-done((f32[2]{0}, f32[8]{0}) %ag-start)",
        "%cp-start = (f32[2], f32[2], u32[], u32[]) collective-permute-start(%p), source_target_pairs={{0,1}}",
        "%cp-done = f32[2]{0} collective-permute-done(%cp-start)",
    )
    assert found == (Collective("all-gather", 1, 32, 24), Collective("collective-permute", 1, 8, 8))


def test_collective_in_an_async_computation_is_counted_once():
    wrapped = f"%wrapped (x: f32[8]) -> f32[2] {{\n  ROOT %rs = f32[2]{{0}} reduce-scatter(%x), {ALL_FOUR}\n}}\n"
    found = collectives(
        "%s = ((f32[8]{0}), f32[2]{0}, u32[]) async-start(%p), calls=%wrapped",
        "ROOT %d = f32[2]{0} async-done(%s)",
        before=wrapped,
    )
    assert found == (Collective("reduce-scatter", 1, 32, 24),)


def test_reduce_scatter_has_the_bytes_of_the_whole_array():
    assert collectives(f"%rs = f32[2]{{0}} reduce-scatter(%p), {ALL_FOUR}") == (
        Collective("reduce-scatter", 1, 32, 24),
    )


def test_all_reduce_in_a_fusion_named_all_reduce_scatter_is_a_reduce_scatter():
    fused = (
        f"%all-reduce-scatter.1 (x: f32[8]) -> f32[2] {{\n  %r = f32[8]{{0}} all-reduce(%x), {ALL_FOUR}\n"
        "  ROOT %s = f32[2]{0} dynamic-slice(%r, %i), dynamic_slice_sizes={2}\n}\n"
    )
    found = collectives("%f = f32[2]{0} fusion(%p), kind=kCustom, calls=%all-reduce-scatter.1", before=fused)
    assert found == (Collective("reduce-scatter", 1, 32, 24),)


def test_collective_that_runs_across_several_fusions_counts_once():
    gather = (
        'all-gather(%x), channel_id=5, replica_groups=[1,4]<=[4], backend_config={"async_collective_fusion_config"}'
    )
    bodies = "".join(
        f"%{name} (x: f32[2]) -> f32[8] {{\n  %g = f32[8]{{0}} {gather}\n  ROOT %c = f32[8]{{0}} {end}\n}}\n"
        for name, end in [
            ("begin", 'custom-call(%g), custom_call_target="AsyncCollectiveStart"'),
            ("meanwhile", "convolution(%g, %y)"),
            ("end", 'custom-call(%g), custom_call_target="AsyncCollectiveDone"'),
        ]
    )
    lines = [f"%{name}.f = f32[8]{{0}} fusion(%p), calls=%{name}" for name in ("begin", "meanwhile", "end")]
    assert collectives(*lines, before=bodies) == (Collective("all-gather", 1, 32, 24),)


def test_collective_of_a_single_device_is_not_counted():
    assert collectives("%r = f32[8]{0} all-reduce(%p), replica_groups={{0}}, to_apply=%add") == ()
    assert collectives("%r = f32[8]{0} all-reduce(%p), replica_groups={}, to_apply=%add", devices=1) == ()


LOOP = """HloModule step
%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {{
  %f = f32[8]{{0}} fusion(%x), kind=kLoop, calls=%inner, {hundred}
  %r = f32[8]{{0}} all-reduce(%f), replica_groups={{{{0,1}}}}, to_apply=%add
  ROOT %t = (s32[], f32[8]) tuple(%i, %r)
}}
%inner (x: f32[8]) -> f32[8] {{
  ROOT %a = f32[8]{{0}} add(%x, %x), {hundred}
}}
%condition (q: (s32[], f32[8])) -> pred[] {{
  %n = s32[]{{:T(128)}} constant(6), metadata={{op_name="n"}}
  %q = (s32[], f32[8]) parameter(0)
  %i = s32[] get-tuple-element(%q), index=0
  ROOT %less = pred[] compare(%i, %n), direction={direction}, {ten}
}}
ENTRY %main (p: f32[8]) -> f32[8] {{
  %c = f32[8]{{0}} copy(%p), {hundred}
  %w = (s32[], f32[8]) while(%t), condition=%condition, body=%body{known}
  ROOT %o = f32[8]{{0}} copy(%c), {hundred}
}}
"""


@pytest.mark.parametrize(
    ("direction", "known", "times", "unknown"),
    [
        ("LT", ', backend_config={"known_trip_count":{"n":"4"}}', 4, 0),
        ("LT", "", 6, 0),  # a scan: the bound is in the condition
        ("GT", "", 1, 1),
    ],
)
def test_loop_counts_as_often_as_it_runs(direction, known, times, unknown):
    text = LOOP.format(hundred=estimated(100), ten=estimated(10), direction=direction, known=known)
    total = totals(text)
    assert total.cycles == 200 + times * 110  # the fusion's estimate covers the instructions in it
    assert total.loops_unknown == unknown
    assert by_kind(total.collectives) == (Collective("all-reduce", times, times * 32, times * 32.0),)


@pytest.mark.parametrize(
    "branches", ["true_computation=%big, false_computation=%small", "branch_computations={%small, %big}"]
)
def test_conditional_counts_as_its_larger_branch(branches):
    bodies = "".join(
        f"%{name} (x: f32[8]) -> f32[8] {{\n  ROOT %a = f32[8]{{0}} copy(%x), {estimated(cycles)}\n}}\n"
        for name, cycles in (("small", 1), ("big", 50))
    )
    call = "  %k = f32[8]{0} call(%p), to_apply=%small\n"
    entry = f"ENTRY main (p: f32[8]) -> f32[8] {{\n{call}  ROOT c = f32[8]{{0}} conditional(%i, %p, %p), {branches}\n}}"
    assert totals(bodies + entry).cycles == 51

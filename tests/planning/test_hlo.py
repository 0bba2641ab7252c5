"""Hand-written HLO in the words of XLA's CPU and TPU compilers."""

import pytest

from hasnn_jax.planning.hlo import Collective, by_kind, group_size, parse_hlo, shape_bytes, sum_up

LINKED = "replica_groups={{0,1,2,3}}, use_global_device_ids=true, to_apply=%add"


def totals(text, devices=4):
    program = parse_hlo(text)
    return sum_up(program, program.name, devices)


def collectives(*lines, before="", devices=4):
    entry = "\n".join(f"  {line}" for line in lines)
    text = f"HloModule step, is_scheduled=true\n\n{before}\nENTRY %main (p: f32[8]) -> f32[8] {{\n{entry}\n}}\n"
    return by_kind(totals(text, devices).collectives)


def estimated(cycles):
    return f'backend_config={{"window_config":{{"estimated_cycles":"{cycles}","iteration_bounds":["1"]}}}}'


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ("f32[]", 4),
        ("f32[8,2]{1,0:T(8,128)S(1)}", 64),
        ("bf16[3]{0:T(1024)(128)(2,1)}", 6),
        ("(f32[8,2]{1,0}, /*index=5*/bf16[3], pred[5])", 75),
        ("((f32[2]), (s8[3], u64[1]), token[])", 19),
        ("s4[10]", 5),
        ("f8e4m3fn[7]", 7),
        ("c64[2]", 16),
        ("f32[0,4]", 0),
        ("f32[<=16,2]", 128),
        ("()", 0),
    ],
)
def test_shape_has_the_bytes_of_its_arrays(shape, size):
    assert shape_bytes(shape) == size


@pytest.mark.parametrize(
    ("groups", "size"),
    [
        ("{{0,1,2},{3,4,5}}", 3),
        ("{{0}}", 1),
        ("[2,4]<=[8]", 4),
        ("[4,2]<=[2,4]T(1,0)", 2),
        ("mesh['data'=8,'model'=2] {'data'}", 8),
        ("mesh['data'=8,'model'=2] {'data','model'}", 16),
        ("{}", 32),
    ],
)
def test_group_size_is_read_in_every_notation(groups, size):
    assert group_size(f"%x), channel_id=1, replica_groups={groups}, to_apply=%add", devices=32) == size


def test_variadic_all_reduce_counts_every_array():
    found = collectives(f"%all-reduce.1 = (f32[1000]{{0}}, /*index=1*/bf16[500]{{0}}) all-reduce(%a, %b), {LINKED}")
    assert found == (Collective("all-reduce", 1, 5000, 2 * 3 / 4 * 5000),)


def test_collectives_of_one_channel_are_all_counted():
    line = f"f32[10]{{0}} all-reduce(%a), channel_id=1, {LINKED}"
    assert collectives(f"%r.1 = {line}", f"ROOT %r.2 = {line}")[0].count == 2


def test_asynchronous_pair_is_one_collective_of_its_results_size():
    found = collectives(
        "%ag-start = (f32[2]{0}, f32[8]{0}) all-gather-start(%p), replica_groups=[1,4]<=[4], dimensions={0}",
        "%other = f32[2]{0} add(%p, %p)",
        "%ag-done = f32[8]{0} all-gather-done((f32[2]{0}, f32[8]{0}) %ag-start)",
        "%cp-start = (f32[2], f32[2], u32[], u32[]) collective-permute-start(%p), source_target_pairs={{0,1}}",
        "%cp-done = f32[2]{0} collective-permute-done(%cp-start)",
    )
    assert found == (Collective("all-gather", 1, 32, 24), Collective("collective-permute", 1, 8, 8))


def test_pair_around_a_wrapped_collective_is_counted_where_it_is_wrapped():
    wrapped = f"%wrapped (x: f32[8]) -> f32[2] {{\n  ROOT %rs = f32[2]{{0}} reduce-scatter(%x), {LINKED}\n}}\n"
    found = collectives(
        "%s = ((f32[8]{0}), f32[2]{0}, u32[]) async-start(%p), calls=%wrapped",
        "ROOT %d = f32[2]{0} async-done(%s)",
        before=wrapped,
    )
    assert found == (Collective("reduce-scatter", 1, 32, 24),)


def test_reduce_scatter_has_the_bytes_of_the_whole():
    assert collectives(f"%rs = f32[2]{{0}} reduce-scatter(%p), {LINKED}") == (Collective("reduce-scatter", 1, 32, 24),)


def test_reduce_scatter_that_the_tpu_writes_as_a_fused_all_reduce_is_one():
    fused = (
        f"%all-reduce-scatter.1 (x: f32[8]) -> f32[2] {{\n  %r = f32[8]{{0}} all-reduce(%x), {LINKED}\n"
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


def test_a_device_alone_communicates_nothing():
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
        ("LT", "", 6, 0),  # as a scan counts
        ("GT", "", 1, 1),
    ],
)
def test_loop_counts_as_often_as_it_runs(direction, known, times, unknown):
    text = LOOP.format(hundred=estimated(100), ten=estimated(10), direction=direction, known=known)
    total = totals(text)
    assert total.cycles == 200 + times * 110  # nothing for what is fused: the fusion's own estimate has it
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

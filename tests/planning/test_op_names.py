"""Where operations belong, by names as JAX 0.10 and 0.12 write them."""

import pytest

from hasnn_jax.planning.hlo_parser import parse_hlo
from hasnn_jax.planning.hlo_walk import launches
from hasnn_jax.planning.op_names import Place, find_place, name_of


@pytest.mark.parametrize(
    ("op_name", "place"),
    [
        ("jit(step)/jvp(HybridResNet)/stem/snn/conv/dot_general", Place("stem", "snn", "forward")),
        ("jit(step)/shard_map/while/body/eval_jaxpr/jvp(Net)/stem/ann/add", Place("stem", "ann", "forward")),
        ("jit(step)/jvp(Net)/block1/encoder/encoder._running_bounds/jit(_where)/select_n",
         Place("block1", "encoder", "forward")),
        ("jit(step)/transpose(jvp(Net))/block1/snn/jvp(Net)/block1/snn/checkpoint/rematted_computation/mul",
         Place("block1", "snn", "backward")),
        ("jit(step)/transpose(jvp(Net))/block1/mul", Place("block1", "", "backward")),
        ("jit(step)/jvp(Net)/classifier/dot_general", Place("classifier", "", "forward")),
        ("jit(step)/jvp(Net)/reduce_sum", Place("Net", "", "forward")),
        ("jit(step)/transpose(jvp(Net))/jit(_where)/select_n", Place("Net", "", "backward")),
        ("jit(step)/jvp()/reduce_sum", Place("loss", "", "forward")),
        ("jit(step)/transpose(jvp(jit(log_softmax)))/mul", Place("loss", "", "backward")),
        ("jit(step)/add", Place("optimizer", "", "update")),
        ("jit(step)/jit(_where)/select_n", Place("optimizer", "", "update")),
        ("jit(step)", Place("optimizer", "", "update")),
        ("jit(step)/shard_map/psum", Place("reduction", "", "update")),
        (r"state.params[\'stem\'][\'snn\'][\'conv\'][\'kernel\']", Place("arguments", "", "update")),
        (r"batch[\'image\']", Place("arguments", "", "update")),
        ("reduce_sum", None),
        ("", None),
    ],
)  # fmt: skip
def test_name_tells_block_path_and_direction(op_name, place):
    assert find_place(op_name) == place


CONV, NORM = "jit(step)/jvp(Net)/stem/ann/conv/mul", "jit(step)/jvp(Net)/stem/ann/norm/add"
SPIKES, LOSS = "jit(step)/jvp(Net)/stem/snn/add", "jit(step)/jvp()/sub"


def program_with(fused, line, before=""):
    named = "".join(
        f'  %i{index} = f32[8]{{0}} negate(%x), metadata={{op_name="{name}"}}\n' for index, name in enumerate(fused)
    )
    text = f"%fused (x: f32[8]) -> f32[8] {{\n  %x = f32[8]{{0}} parameter(0)\n{named}}}\n"
    return parse_hlo(f"{text}ENTRY %main (p: f32[8]) -> f32[8] {{\n{before}{line}\n}}\n")


def last_name(program):
    return name_of(program, list(launches(program))[-1])


@pytest.mark.parametrize(
    ("fused", "own", "name"),
    [
        ([SPIKES, CONV], f', metadata={{op_name="{LOSS}"}}', LOSS),
        ([CONV, SPIKES], "", SPIKES),  # of the result
        ([CONV, SPIKES, NORM, "reduce_sum"], "", CONV),  # of the majority, by place
        ([CONV, "reduce_sum"], ', metadata={op_name="reduce_sum"}', CONV),
        (["reduce_sum", "add"], "", ""),
        ([], "", ""),
    ],
)
def test_fusion_without_a_name_has_that_of_what_is_in_it(fused, own, name):
    line = f"  %f = f32[8]{{0}} fusion(%p), kind=kLoop, calls=%fused{own}"
    assert last_name(program_with(fused, line)) == name


def test_unnamed_move_has_the_name_of_the_data():
    before = f"""  %p = f32[8]{{0}} parameter(0), metadata={{op_name="state.params[\\'stem\\']"}}
  %computed = f32[8]{{0}} add(%p, %p), metadata={{op_name="{CONV}"}}
  %part = f32[8]{{0}} bitcast(%computed)
  %start = (f32[8]{{0}}, f32[8]{{0}}, u32[]) copy-start(%part)
"""
    assert last_name(program_with([], "  %done = f32[8]{0} copy-done(%start)", before)) == CONV
    assert last_name(program_with([], "  %c = f32[8]{0} copy(%p)", before)) == r"state.params[\'stem\']"
    assert last_name(program_with([], "  %c = f32[8]{0} copy(%unknown)", before)) == ""
    assert last_name(program_with([], "  %c = f32[8]{0} copy(%c)", before)) == ""

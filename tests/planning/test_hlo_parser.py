"""Shapes, operands, names and replica groups in HLO as XLA's CPU and TPU compilers write it."""

import pytest

from hasnn_jax.planning.hlo_parser import Instruction, array_sizes, group_size, shape_bytes


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


def test_sizes_of_all_arrays_are_read():
    assert array_sizes("(f32[8,2]{1,0:T(8,128)S(1)}, /*index=1*/bf16[3], pred[])") == [(8, 2), (3,), ()]


@pytest.mark.parametrize(
    ("rest", "operands"),
    [
        ("%a, %b.1), channel_id=1, to_apply=%add", ["a", "b.1"]),
        ("(f32[2]{0}, (f32[8]{0:T(128)})) %start), calls=%c", ["start"]),
        ("%a, /*index=5*/%a, %c-d)", ["a", "a", "c-d"]),
        ("), kind=kLoop, calls=%c", []),
        ('6), metadata={op_name="%n"}', []),
    ],
)
def test_operands_are_told_from_attributes(rest, operands):
    assert Instruction("i", "f32[]", "fusion", rest).operands == operands


def test_operation_name_is_read_with_its_quotes():
    name = r"state.params[\'stem\'][\'kernel\']"
    instruction = Instruction("i", "f32[]", "copy", f'%p), metadata={{op_name="{name}" stack_frame_id=3}}')
    assert instruction.op_name == name
    assert Instruction("i", "f32[]", "copy", "%p), metadata={stack_frame_id=3}").op_name == ""


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

"""Counts the bytes that a launched instruction reads and writes, from its operands and results.

What a fusion computes on the way stays on the chip. Of an array that it only takes slices of, the slices are counted;
and of an array that it only updates in place, the update. Every array counts as read once, although a cache may hold it
or a kernel may read it again. The padding of arrays in TPU memory does not count.
"""

from collections.abc import Mapping

from hasnn_jax.planning.hlo_parser import Instruction, Program, shape_bytes
from hasnn_jax.planning.hlo_walk import Launch

_SLICES = ("slice", "dynamic-slice", "gather")  # they read as much of their first operand as they return
_UPDATE = "dynamic-update-slice"  # (array, update, ...): XLA writes the update into the array's place
_SAME_DATA = ("bitcast", "reshape")


def touched_bytes(program: Program, launch: Launch) -> int:
    """Bytes that one run of an instruction reads and writes."""
    instruction = launch.instruction
    body = program.computations.get(instruction.called.get("calls", "")) if instruction.opcode == "fusion" else None
    if not body:
        return _plain(launch)
    users: dict[str, list[Instruction]] = {}
    for one in body:
        for name in dict.fromkeys(one.operands):
            users.setdefault(name, []).append(one)
    parameters = {one.rest.partition(")")[0]: one for one in body if one.opcode == "parameter"}
    read = 0
    for index, name in enumerate(instruction.operands):
        if name in launch.computation and str(index) in parameters:
            part, whole = _read_of(parameters[str(index)].name, users), shape_bytes(launch.computation[name].shape)
            read += whole if part is None else min(part, whole)
    return read + _written(body[-1], {one.name: one for one in body})


def _plain(launch: Launch) -> int:
    instruction = launch.instruction
    result = shape_bytes(instruction.shape)
    if instruction.opcode in _SLICES or instruction.opcode == "slice-done":
        return 2 * result
    if instruction.opcode == _UPDATE:
        return 2 * sum(shape_bytes(operand.shape) for operand in launch.operands[1:2])
    return result + sum(shape_bytes(operand.shape) for operand in launch.operands)


def _read_of(array: str, users: Mapping[str, list[Instruction]]) -> int | None:
    """Bytes of an array that a fusion reads; None: all of them."""
    read = 0
    for user in users.get(array, ()):
        first, *others = user.operands
        if first != array or array in others:
            return None
        if user.opcode in _SLICES:
            read += shape_bytes(user.shape)
        elif user.opcode in _SAME_DATA:
            part = _read_of(user.name, users)
            if part is None:
                return None
            read += part
        elif user.opcode != _UPDATE:
            return None
    return read


def _written(result: Instruction, inside: Mapping[str, Instruction]) -> int:
    """Bytes of a fusion's result that it writes."""
    operands = [inside[name] for name in result.operands if name in inside]
    if result.opcode == "tuple":
        return sum(_written(part, inside) for part in operands)
    if result.opcode in _SAME_DATA and operands:
        return _written(operands[0], inside)
    if result.opcode == _UPDATE and len(operands) > 1:
        return shape_bytes(operands[1].shape)
    return shape_bytes(result.shape)

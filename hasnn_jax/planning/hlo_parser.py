"""Reads XLA's text of a compiled program (HLO): computations, instructions, and the attributes that costs depend on.

The text lists every operation in the order in which it runs. The TPU compiler adds the estimated cycles of most
operations, but not of collectives.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Mapping

_BITS = {"pred": 8, "token": 0, "opaque": 0, "bf16": 16}  # other types end in their number of bits: s4, u32, f8e4m3fn

_HEADER = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = (.*?)\s([a-z][a-z0-9\-]*)\((.*)$")
_NAME = re.compile(r"[\w.\-]+")
_ARRAY = re.compile(r"\b([a-z]+\d*[a-z0-9]*)\[([\d,<=]*)\]")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIP_COUNT = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_OP_NAME = re.compile(r'\bop_name="((?:[^"\\]|\\.)*)"')
_OPERAND = re.compile(r"%([\w.\-]+)")
_CALLED = re.compile(r"\b(calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A line of HLO: `name = shape opcode(rest`, where the rest holds the operands and the attributes."""

    name: str
    shape: str
    opcode: str
    rest: str

    @property
    def cycles(self) -> int | None:
        """The compiler's estimate; None if it gives none."""
        match = _CYCLES.search(self.rest)
        return int(match[1]) if match else None

    @property
    def names(self) -> list[str]:
        """All words of operands and attributes, among them the names of the operands."""
        return _NAME.findall(self.rest)

    @property
    def operands(self) -> list[str]:
        """Names of the operands, in their order."""
        depth = 0
        for match in re.finditer(r"[()]", self.rest):  # an operand may have the shape of a tuple before its name
            depth += 1 if match[0] == "(" else -1
            if depth < 0:
                return _OPERAND.findall(self.rest[: match.start()])
        return _OPERAND.findall(self.rest)

    @property
    def op_name(self) -> str:
        """Where in the JAX program the instruction comes from, "jit(step)/.../add"; empty if the text does not say."""
        match = _OP_NAME.search(self.rest)
        return match[1] if match else ""

    @property
    def called(self) -> dict[str, str]:
        """Computations that the instruction calls: attribute, such as "body" or "to_apply", -> name."""
        return dict(_CALLED.findall(self.rest))

    @property
    def branches(self) -> list[str]:
        """Names of the computations that a conditional chooses from."""
        if match := _BRANCHES.search(self.rest):
            return _NAME.findall(match[1])
        return [name for attribute, name in self.called.items() if attribute.endswith("_computation")]


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes:
      computations: name -> instructions.
      name: of the entry computation.
    """

    computations: Mapping[str, tuple[Instruction, ...]]
    name: str

    @property
    def entry(self) -> tuple[Instruction, ...]:
        """Instructions of the entry computation."""
        return self.computations[self.name]

    @property
    def has_cycles(self) -> bool:
        """Whether the compiler estimated cycles."""
        return any(i.cycles is not None for instructions in self.computations.values() for i in instructions)


def parse_hlo(text: str) -> Program:
    """Reads XLA's text of a compiled program."""
    computations: dict[str, list[Instruction]] = {}
    entry = ""
    current: list[Instruction] = []
    for line in text.splitlines():
        if match := _INSTRUCTION.match(line):
            current.append(Instruction(*match.groups()))
        elif match := _HEADER.match(line):
            current = computations.setdefault(match[2], [])
            entry = match[2] if match[1] else entry
    return Program({name: tuple(lines) for name, lines in computations.items()} | {"": ()}, entry)


def shape_bytes(shape: str) -> int:
    """Bytes of an array, or of all arrays of a tuple: "(f32[8,2]{1,0}, bf16[3])" -> 70. Padding is not counted."""
    return sum(math.prod(_sizes(listed)) * _bits(dtype) for dtype, listed in _ARRAY.findall(shape)) // 8


def array_sizes(shape: str) -> list[tuple[int, ...]]:
    """Sizes of an array, or of all arrays of a tuple: "(f32[8,2]{1,0}, bf16[3])" -> [(8, 2), (3,)]."""
    return [_sizes(listed) for _, listed in _ARRAY.findall(shape)]


def _sizes(listed: str) -> tuple[int, ...]:
    return tuple(int(size.lstrip("<=")) for size in listed.split(",") if size)


def _bits(dtype: str) -> int:
    """Bits of an element: "f32" -> 32, "f8e4m3fn" -> 8."""
    if dtype in _BITS:
        return _BITS[dtype]
    match = re.match(r"[a-z]+(\d+)", dtype)
    return int(match[1]) if match else 0


def group_size(rest: str, devices: int) -> int:
    """How many devices take part in a collective.

    Args:
      rest: operands and attributes of the instruction; replica groups have three notations.
      devices: that the program runs on. All of them take part where the text lists no groups.
    """
    if match := re.search(r"replica_groups=\{\{([\d,]*)\}", rest):
        return match[1].count(",") + 1
    if match := re.search(r"replica_groups=\[(\d+),(\d+)\]", rest):
        return int(match[2])
    if match := re.search(r"replica_groups=(?:@?\w*)\[([^\]]*)\]\s*\{([^}]*)\}", rest):
        sizes = {name: int(size) for name, size in re.findall(r"'([^']+)'=(\d+)", match[1])}
        axes = re.findall(r"'([^']+)'", match[2])
        return functools.reduce(lambda size, axis: size * sizes.get(axis, 1), axes, 1)
    return devices


def trip_count(program: Program, loop: Instruction) -> int | None:
    """How many times a `while` runs its body; None if the text does not say.

    The TPU compiler does not write the trip count of a `jax.lax.scan`. It is read from the condition instead, which
    compares a counter that starts at 0 with a constant.
    """
    if match := _TRIP_COUNT.search(loop.rest):
        return int(match[1])
    condition = program.computations.get(loop.called.get("condition", ""), ())
    constants = {i.name: i.rest.partition(")")[0] for i in condition if i.opcode == "constant"}
    if condition and condition[-1].opcode == "compare" and "direction=LT" in condition[-1].rest:
        operands = _NAME.findall(condition[-1].rest.partition(")")[0])
        bounds = [constants[name] for name in operands if name in constants]
        if len(bounds) == 1 and bounds[0].isdecimal():
            return int(bounds[0])
    return None

"""Cycles, loops and collectives, read out of XLA's text of a compiled program (HLO).

It names every operation that runs, in order. The TPU's compiler notes beside most of them how many cycles it expects
them to take; collectives have no such number.
"""

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")

_BITS = {"pred": 8, "token": 0, "opaque": 0, "bf16": 16}  # other types end in their number of bits: s4, u32, f8e4m3fn

_HEADER = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = (.*?)\s([a-z][a-z0-9\-]*)\((.*)$")
_ARRAY = re.compile(r"\b([a-z]+\d*[a-z0-9]*)\[([\d,<=]*)\]")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CALLED = re.compile(r"\b(calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")


@dataclasses.dataclass(frozen=True)
class Collective:
    """All collectives of one kind in a step.

    Attributes:
      kind: one of COLLECTIVES.
      count: how many run.
      bytes: of the whole arrays, summed up.
      sent: bytes that each device sends if it is done around a ring.
    """

    kind: str
    count: int
    bytes: int
    sent: float


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A line of HLO: `name = shape opcode(rest`."""

    name: str
    shape: str
    opcode: str
    rest: str


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled program: its computations by name, and the name of the one that is run."""

    computations: Mapping[str, tuple[Instruction, ...]]
    name: str

    @property
    def entry(self) -> tuple[Instruction, ...]:
        """What is run."""
        return self.computations[self.name]

    @property
    def estimated(self) -> bool:
        """Whether the compiler says how many cycles it expects."""
        return any(_CYCLES.search(i.rest) for body in self.computations.values() for i in body)


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
    return Program({name: tuple(body) for name, body in computations.items()} | {"": ()}, entry)


def shape_bytes(shape: str) -> int:
    """Bytes of an array, or of all arrays of a tuple: "(f32[8,2]{1,0}, bf16[3])" -> 70. Padding is not counted."""
    bits = 0
    for kind, sizes in _ARRAY.findall(shape):
        elements = 1
        for size in filter(None, sizes.split(",")):
            elements *= int(size.lstrip("<="))
        bits += elements * _bits(kind)
    return bits // 8


def _bits(kind: str) -> int:
    """Bits of an element: "f32" -> 32, "f8e4m3fn" -> 8."""
    if kind in _BITS:
        return _BITS[kind]
    match = re.match(r"[a-z]+(\d+)", kind)
    return int(match[1]) if match else 0


def group_size(rest: str, devices: int) -> int:
    """How many devices take part in a collective: from its replica groups, in any of their three notations."""
    if match := re.search(r"replica_groups=\{\{([\d,]*)\}", rest):
        return match[1].count(",") + 1
    if match := re.search(r"replica_groups=\[(\d+),(\d+)\]", rest):
        return int(match[2])
    if match := re.search(r"replica_groups=(?:@?\w*)\[([^\]]*)\]\s*\{([^}]*)\}", rest):
        sizes = {name: int(size) for name, size in re.findall(r"'([^']+)'=(\d+)", match[1])}
        size = 1
        for name in re.findall(r"'([^']+)'", match[2]):
            size *= sizes.get(name, 1)
        return size
    return devices


@dataclasses.dataclass(frozen=True)
class Found:
    """One collective: its kind, the bytes of the whole arrays, who takes part, and how often it runs."""

    kind: str
    bytes: int
    devices: int
    times: int = 1

    @property
    def sent(self) -> float:
        """Bytes that a device sends around a ring; an all-reduce is a reduce-scatter and an all-gather."""
        share = (self.devices - 1) / self.devices
        rounds = {"all-reduce": 2 * share, "collective-permute": 1, "collective-broadcast": 1}
        return self.bytes * rounds.get(self.kind, share)


@dataclasses.dataclass(frozen=True)
class Total:
    """Sums over what runs."""

    cycles: int = 0
    loops_unknown: int = 0
    collectives: tuple[Found, ...] = ()

    def plus(self, other: "Total", times: int = 1) -> "Total":
        """The sum of it and `times` the other."""
        repeated = tuple(dataclasses.replace(one, times=one.times * times) for one in other.collectives)
        return Total(
            self.cycles + times * other.cycles,
            self.loops_unknown + other.loops_unknown,
            self.collectives + repeated,
        )


def sum_up(program: Program, name: str, devices: int) -> Total:
    """Cycles and collectives of one computation and all that it calls."""
    body = program.computations.get(name, ())
    named = {instruction.name: instruction for instruction in body}
    # The TPU's compiler may start a collective in one fusion, go on with it in others, and end it in a last one; each
    # of them has it in its text.
    begins = any("AsyncCollectiveStart" in instruction.rest for instruction in body)
    total = Total()
    for instruction in body:
        kind = instruction.opcode.removesuffix("-done")  # of a pair, the end has the result alone for its shape
        if kind in COLLECTIVES and (begins or "async_collective_fusion_config" not in instruction.rest):
            operands = (named.get(operand) for operand in re.findall(r"[\w.\-]+", instruction.rest))
            starts = (start for start in operands if start and start.opcode == f"{kind}-start")
            found = _found(kind, instruction.shape, next(starts, instruction).rest, name, devices)
            total = total.plus(Total(collectives=found))
        if match := _CYCLES.search(instruction.rest):
            total = total.plus(Total(int(match[1])))
        total = total.plus(*_called(program, instruction, devices))
    return total


def _found(kind: str, shape: str, rest: str, computation: str, devices: int) -> tuple[Found, ...]:
    """A collective, unless a device would talk to itself."""
    size, taking_part = shape_bytes(shape), group_size(rest, devices)
    if kind == "reduce-scatter":
        size *= taking_part  # the result is a share of the whole
    if computation.startswith("all-reduce-scatter"):  # how the TPU's compiler writes one: an all-reduce, then a slice
        kind = "reduce-scatter"
    return (Found(kind, size, taking_part),) if taking_part > 1 else ()


def known_trips(program: Program, loop: Instruction) -> int | None:
    """How often a loop's body runs; None if the text does not tell.

    The TPU's compiler leaves the number of a `jax.lax.scan` out, but not its condition: a counter, from 0, is below it.
    """
    if match := _TRIPS.search(loop.rest):
        return int(match[1])
    condition = program.computations.get(dict(_CALLED.findall(loop.rest)).get("condition", ""), ())
    constants = {i.name: i.rest.partition(")")[0] for i in condition if i.opcode == "constant"}
    if condition and condition[-1].opcode == "compare" and "direction=LT" in condition[-1].rest:
        operands = re.findall(r"[\w.\-]+", condition[-1].rest.partition(")")[0])
        bounds = [constants[name] for name in operands if name in constants]
        if len(bounds) == 1 and bounds[0].isdecimal():
            return int(bounds[0])
    return None


def _called(program: Program, instruction: Instruction, devices: int) -> tuple[Total, int]:
    """What an instruction runs besides itself, and how many times."""
    called = dict(_CALLED.findall(instruction.rest))
    if instruction.opcode == "while":
        trips = known_trips(program, instruction)
        parts = [sum_up(program, called[part], devices) for part in ("body", "condition") if part in called]
        total = functools.reduce(Total.plus, parts, Total(loops_unknown=int(trips is None)))
        return total, trips or 1
    if instruction.opcode == "conditional":
        listed = _BRANCHES.search(instruction.rest)
        names = re.findall(r"[\w.\-]+", listed[1]) if listed else [called[part] for part in called if "_comp" in part]
        return max((sum_up(program, name, devices) for name in names), key=lambda t: t.cycles, default=Total()), 1
    if instruction.opcode == "call":
        return sum_up(program, called.get("to_apply", ""), devices), 1
    if instruction.opcode in ("fusion", "async-start"):
        inner = sum_up(program, called.get("calls", ""), devices)
        # A fusion's own estimate covers what is in it.
        return (dataclasses.replace(inner, cycles=0) if instruction.opcode == "fusion" else inner), 1
    return Total(), 1


def by_kind(found: Iterable[Found]) -> tuple[Collective, ...]:
    """Collectives, those of a kind summed up."""
    kinds: dict[str, Collective] = {}
    for one in found:
        old = kinds.get(one.kind, Collective(one.kind, 0, 0, 0.0))
        kinds[one.kind] = Collective(
            one.kind, old.count + one.times, old.bytes + one.times * one.bytes, old.sent + one.times * one.sent
        )
    return tuple(kinds[kind] for kind in COLLECTIVES if kind in kinds)

"""What a compiled program costs a device, read off the executable, and what the chips offer for it.

XLA's text of a compiled program (HLO) names every operation that runs, in order. The TPU's compiler notes beside most
of them how many cycles it expects them to take; collectives have no such number.
"""

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any

GIB = 2**30
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")

_BITS = {"pred": 8, "token": 0, "opaque": 0, "bf16": 16}  # other types end in their number of bits: s4, u32, f8e4m3fn
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

_HEADER = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?([\w.\-]+) = (.*?)\s([a-z][a-z0-9\-]*)\((.*)$")
_ARRAY = re.compile(r"\b([a-z]+\d*[a-z0-9]*)\[([\d,<=]*)\]")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_CALLED = re.compile(r"\b(calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_TOO_MUCH = (
    re.compile(r"Used ([\d.]+)([KMGT]?) of ([\d.]+)([KMGT]?) hbm"),
    re.compile(r"\(([\d.]+)([KMGT]?)\) exceeds available HBM \(([\d.]+)([KMGT]?)\)"),
)


@dataclasses.dataclass(frozen=True)
class Chip:
    """What one device offers; a chip is one device, or two. Bytes, and per second.

    Attributes:
      flops: published peak of bfloat16 matrix products.
      memory: published.
      usable: of it, what the compiler grants a program: as libtpu 0.0.52 says when one asks for more.
      bandwidth: of the memory, published.
      clock: Hz, of the cycles that the compiler estimates. The published peak divided by the FLOPs of a cycle in the
        matrix units: 2 x 128 x 128 in each of v4's and v5p's eight and v5e's four; 2 x 256 x 256 in four a device for
        v6e and tpu7x. That four (v6e is said to have two) is inferred: with it the compiler's cycles for a product of
        8192 x 8192 matrices come to 70 to 93 % of every chip's peak, and for a copy to 69 to 81 % of its bandwidth.
      ring: what a chip sends around a ring that uses both directions; published bandwidth of all links, each counted in
        both directions, divided by their number.
      dimensions: of the torus that the chips stand in.
      most: chips in the largest slice.
      sizes: some that are rented.
      devices: in a chip.
      options: what `get_topology_desc` wants besides the name.
    """

    flops: float
    memory: float
    usable: float
    bandwidth: float
    clock: float
    ring: float
    dimensions: int
    most: int
    sizes: tuple[str, ...]
    devices: int = 1
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


# Peak, memory, bandwidth and interconnect: docs.cloud.google.com/tpu/docs/ v4, v5e, v5p-training, v6e, tpu7x; v4's
# interconnect: Jouppi et al., TPU v4 (ISCA 2023), six links of 50 GB/s. A v4 or v5p chip is one device (megacore).
CHIPS = {
    "v4": Chip(275e12, 32 * GIB, 30.75 * GIB, 1200e9, 1.05e9, 100e9, 3, 4096,
               ("2x2x1", "2x2x2", "4x4x4"), options={"chip_config_name": "megacore"}),
    "v5e": Chip(197e12, 16e9, 15.75 * GIB, 819e9, 1.5e9, 100e9, 2, 256, ("1x1", "2x2", "2x4", "4x4", "8x8", "16x16")),
    "v5p": Chip(459e12, 95 * GIB, 95.73 * GIB, 2765e9, 1.75e9, 200e9, 3, 8960, ("2x2x1", "2x2x2", "4x4x4")),
    "v6e": Chip(918e12, 32e9, 31.24 * GIB, 1638e9, 1.75e9, 200e9, 2, 256, ("1x1", "2x2", "2x4", "4x4", "8x8", "16x16")),
    "tpu7x": Chip(2307e12 / 2, 96 * GIB, 94.74 * GIB, 7380e9 / 2, 2.2e9, 200e9, 3, 9216,
                  ("2x2x1", "2x2x2", "4x4x4"), devices=2),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes of a device's memory: what goes in, what comes out, how much of that lies in the same place, and the rest.

    Attributes:
      arguments, results, aliased, temporary, program: as `memory_analysis` has them.
      peak: the most that is held at any time.
    """

    arguments: int
    results: int
    aliased: int
    temporary: int
    program: int
    peak: int


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
class Cost:
    """What a compiled program costs each device when it runs once.

    Attributes:
      memory: see `Memory`.
      flops, bytes_accessed: as XLA counts them; None where it does not. Bytes are those that operations read and write,
        some of them in memory on the chip's core.
      cycles: the compiler's estimate for everything but collectives; None where it makes none.
      loops_unknown: how many loops were counted once for want of a known trip count.
      collectives: by kind.
    """

    memory: Memory
    flops: float | None
    bytes_accessed: float | None
    cycles: int | None
    loops_unknown: int
    collectives: tuple[Collective, ...]


@dataclasses.dataclass(frozen=True)
class Refusal:
    """The compiler's answer that a program does not fit: bytes that it needs and has; None where it does not say."""

    needed: float | None
    available: float | None


def read_cost(compiled: Any, devices: int, trips: int = 1) -> Cost:
    """The cost of a compiled program.

    Args:
      compiled: a `jax.stages.Compiled`.
      devices: that it runs on.
      trips: of the loop in which nearly all of its work is done, if there is one. XLA's counts of FLOPs and bytes have
        a loop's body once, so they are multiplied.
    """
    counted = compiled.cost_analysis() or {}
    program = parse_hlo(compiled.as_text())
    looped = any(i.opcode == "while" and _trips(program, i) == trips for i in program.entry)
    flops, read = (counted.get(name) for name in ("flops", "bytes accessed"))
    total = _total(program, program.name, devices)
    estimated = any(_CYCLES.search(i.rest) for body in program.computations.values() for i in body)
    return Cost(
        memory=read_memory(compiled.memory_analysis()),
        flops=flops * trips if flops and looped else flops,
        bytes_accessed=read * trips if read and looped else read,
        cycles=total.cycles if estimated else None,
        loops_unknown=total.loops_unknown,
        collectives=by_kind(total.collectives),
    )


def read_memory(analysis: Any) -> Memory:
    """What `Compiled.memory_analysis()` says; all devices hold the same."""
    names = ("argument", "output", "alias", "temp", "generated_code")
    arguments, results, aliased, temporary, program = (getattr(analysis, f"{name}_size_in_bytes") for name in names)
    held = arguments + results - aliased + temporary
    return Memory(
        arguments, results, aliased, temporary, program, max(held, getattr(analysis, "peak_memory_in_bytes", 0))
    )


def read_refusal(message: str) -> Refusal | None:
    """What a compiler's error says of memory that is too small; None if it is another error."""
    if "RESOURCE_EXHAUSTED" not in message or "hbm" not in message.lower():
        return None
    for pattern in _TOO_MUCH:
        if match := pattern.search(message):
            needed, available = (float(match[i]) * _UNITS[match[i + 1]] for i in (1, 3))
            return Refusal(needed, available)
    return Refusal(None, None)


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
class _Found:
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
class _Total:
    """Sums over what runs."""

    cycles: int = 0
    loops_unknown: int = 0
    collectives: tuple[_Found, ...] = ()

    def plus(self, other: "_Total", times: int = 1) -> "_Total":
        """The sum of it and `times` the other."""
        repeated = tuple(dataclasses.replace(one, times=one.times * times) for one in other.collectives)
        return _Total(
            self.cycles + times * other.cycles,
            self.loops_unknown + other.loops_unknown,
            self.collectives + repeated,
        )


def _total(program: Program, name: str, devices: int) -> _Total:
    """Cycles and collectives of one computation and all that it calls."""
    body = program.computations.get(name, ())
    named = {instruction.name: instruction for instruction in body}
    # The TPU's compiler may start a collective in one fusion, go on with it in others, and end it in a last one; each
    # of them has it in its text.
    begins = any("AsyncCollectiveStart" in instruction.rest for instruction in body)
    total = _Total()
    for instruction in body:
        kind = instruction.opcode.removesuffix("-done")  # of a pair, the end has the result alone for its shape
        if kind in COLLECTIVES and (begins or "async_collective_fusion_config" not in instruction.rest):
            operands = (named.get(operand) for operand in re.findall(r"[\w.\-]+", instruction.rest))
            starts = (start for start in operands if start and start.opcode == f"{kind}-start")
            found = _found(kind, instruction.shape, next(starts, instruction).rest, name, devices)
            total = total.plus(_Total(collectives=found))
        if match := _CYCLES.search(instruction.rest):
            total = total.plus(_Total(int(match[1])))
        total = total.plus(*_called(program, instruction, devices))
    return total


def _found(kind: str, shape: str, rest: str, computation: str, devices: int) -> tuple[_Found, ...]:
    """A collective, unless a device would talk to itself."""
    size, taking_part = shape_bytes(shape), group_size(rest, devices)
    if kind == "reduce-scatter":
        size *= taking_part  # the result is a share of the whole
    if computation.startswith("all-reduce-scatter"):  # how the TPU's compiler writes one: an all-reduce, then a slice
        kind = "reduce-scatter"
    return (_Found(kind, size, taking_part),) if taking_part > 1 else ()


def _trips(program: Program, loop: Instruction) -> int | None:
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


def _called(program: Program, instruction: Instruction, devices: int) -> tuple[_Total, int]:
    """What an instruction runs besides itself, and how many times."""
    called = dict(_CALLED.findall(instruction.rest))
    if instruction.opcode == "while":
        trips = _trips(program, instruction)
        parts = [_total(program, called[part], devices) for part in ("body", "condition") if part in called]
        total = functools.reduce(_Total.plus, parts, _Total(loops_unknown=int(trips is None)))
        return total, trips or 1
    if instruction.opcode == "conditional":
        listed = _BRANCHES.search(instruction.rest)
        names = re.findall(r"[\w.\-]+", listed[1]) if listed else [called[part] for part in called if "_comp" in part]
        return max((_total(program, name, devices) for name in names), key=lambda t: t.cycles, default=_Total()), 1
    if instruction.opcode == "call":
        return _total(program, called.get("to_apply", ""), devices), 1
    if instruction.opcode in ("fusion", "async-start"):
        inner = _total(program, called.get("calls", ""), devices)
        # A fusion's own estimate covers what is in it.
        return (dataclasses.replace(inner, cycles=0) if instruction.opcode == "fusion" else inner), 1
    return _Total(), 1


def by_kind(found: Iterable[_Found]) -> tuple[Collective, ...]:
    """Collectives, those of a kind summed up."""
    kinds: dict[str, Collective] = {}
    for one in found:
        old = kinds.get(one.kind, Collective(one.kind, 0, 0, 0.0))
        kinds[one.kind] = Collective(
            one.kind, old.count + one.times, old.bytes + one.times * one.bytes, old.sent + one.times * one.sent
        )
    return tuple(kinds[kind] for kind in COLLECTIVES if kind in kinds)

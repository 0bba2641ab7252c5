"""Sums cycles and collectives over all that a compiled program runs, each loop's body as often as it runs."""

import dataclasses
import functools
from collections.abc import Iterable

from hasnn_jax.planning.hlo_parser import Instruction, Program, group_size, shape_bytes, trip_count

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")


@dataclasses.dataclass(frozen=True)
class Collective:
    """All collectives of one kind in a step.

    Attributes:
      kind: one of COLLECTIVES.
      count: how many run.
      bytes: of the whole arrays, summed over the collectives.
      sent: bytes that each device sends if they run around a ring.
    """

    kind: str
    count: int
    bytes: int
    sent: float


@dataclasses.dataclass(frozen=True)
class CollectiveCall:
    """One collective instruction.

    Attributes:
      kind: one of COLLECTIVES.
      bytes: of the whole arrays.
      devices: how many take part.
      times: how often it runs.
    """

    kind: str
    bytes: int
    devices: int
    times: int = 1

    @property
    def sent(self) -> float:
        """Bytes that each device sends around a ring; an all-reduce is a reduce-scatter and an all-gather."""
        share = (self.devices - 1) / self.devices
        rounds = {"all-reduce": 2 * share, "collective-permute": 1, "collective-broadcast": 1}
        return self.bytes * rounds.get(self.kind, share)


@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over instructions.

    Attributes:
      cycles: the compiler's estimates.
      loops_unknown: loops whose trip count is unknown; they are counted as running once.
      collectives: one entry for each instruction.
    """

    cycles: int = 0
    loops_unknown: int = 0
    collectives: tuple[CollectiveCall, ...] = ()

    def plus(self, other: "Totals", times: int = 1) -> "Totals":
        """These sums and `times` the other ones."""
        repeated = tuple(dataclasses.replace(call, times=call.times * times) for call in other.collectives)
        return Totals(
            self.cycles + times * other.cycles,
            self.loops_unknown + other.loops_unknown,
            self.collectives + repeated,
        )


def sum_up(program: Program, name: str, devices: int) -> Totals:
    """Sums over one computation and all that it calls.

    Args:
      program: the compiled program.
      name: of the computation.
      devices: that the program runs on.
    """
    instructions = program.computations.get(name, ())
    by_name = {instruction.name: instruction for instruction in instructions}
    # The TPU compiler may spread a collective over several fusions: one starts it, others continue it, a last one ends
    # it. Its instruction stands in each of them and is counted in the first.
    starts_it = any("AsyncCollectiveStart" in instruction.rest for instruction in instructions)
    totals = Totals()
    for instruction in instructions:
        # Of an asynchronous pair the -done is counted: its shape is that of the result alone.
        kind = instruction.opcode.removesuffix("-done")
        if kind in COLLECTIVES and (starts_it or "async_collective_fusion_config" not in instruction.rest):
            operands = (by_name.get(operand) for operand in instruction.names)
            starts = (operand for operand in operands if operand and operand.opcode == f"{kind}-start")
            attributes = next(starts, instruction).rest
            totals = totals.plus(Totals(collectives=_calls(kind, instruction.shape, attributes, name, devices)))
        totals = totals.plus(Totals(instruction.cycles or 0))
        totals = totals.plus(*_called(program, instruction, devices))
    return totals


def _calls(kind: str, shape: str, attributes: str, computation: str, devices: int) -> tuple[CollectiveCall, ...]:
    """The collective as a tuple of one, empty if a single device takes part, for which nothing is sent."""
    size, taking_part = shape_bytes(shape), group_size(attributes, devices)
    if kind == "reduce-scatter":
        size *= taking_part  # the result is one device's share of the whole
    # The TPU compiler writes a reduce-scatter as a fusion of this name, with an all-reduce and a slice.
    if computation.startswith("all-reduce-scatter"):
        kind = "reduce-scatter"
    return (CollectiveCall(kind, size, taking_part),) if taking_part > 1 else ()


def _called(program: Program, instruction: Instruction, devices: int) -> tuple[Totals, int]:
    """Sums over the computations that an instruction calls, and how many times it calls them."""
    called = instruction.called
    if instruction.opcode == "while":
        trips = trip_count(program, instruction)
        each = [sum_up(program, called[part], devices) for part in ("body", "condition") if part in called]
        return functools.reduce(Totals.plus, each, Totals(loops_unknown=int(trips is None))), trips or 1
    if instruction.opcode == "conditional":
        branches = (sum_up(program, name, devices) for name in instruction.branches)
        return max(branches, key=lambda totals: totals.cycles, default=Totals()), 1
    if instruction.opcode == "call":
        return sum_up(program, called.get("to_apply", ""), devices), 1
    if instruction.opcode == "async-start":
        return sum_up(program, called.get("calls", ""), devices), 1
    if instruction.opcode == "fusion":
        # The estimate of a fusion covers the instructions in it.
        return dataclasses.replace(sum_up(program, called.get("calls", ""), devices), cycles=0), 1
    return Totals(), 1


def by_kind(calls: Iterable[CollectiveCall]) -> tuple[Collective, ...]:
    """Collectives summed up by kind."""
    kinds: dict[str, Collective] = {}
    for call in calls:
        sums = kinds.get(call.kind, Collective(call.kind, 0, 0, 0.0))
        kinds[call.kind] = Collective(
            call.kind, sums.count + call.times, sums.bytes + call.times * call.bytes, sums.sent + call.times * call.sent
        )
    return tuple(kinds[kind] for kind in COLLECTIVES if kind in kinds)

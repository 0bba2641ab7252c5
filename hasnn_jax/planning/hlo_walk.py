"""Visits every instruction that a compiled program launches, and says how often."""

import dataclasses
from collections.abc import Iterator, Mapping

from hasnn_jax.planning.hlo_parser import Instruction, Program, trip_count

# Instructions that run nothing: names for data that is there, and calls, whose computations are visited instead.
_NOTHING = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id", "replica-id",
    "opt-barrier", "while", "conditional", "call", "async-done",
}  # fmt: skip
_ASYNCHRONOUS = ("-start", "-update")  # the -done of an asynchronous operation stands for all of it
_NO_CODE = ('custom_call_target="ConcatBitcast"', 'custom_call_target="AllocateBuffer"')  # of the TPU compiler


@dataclasses.dataclass(frozen=True)
class Launch:
    """An instruction that a program runs.

    Attributes:
      instruction: it.
      computation: name -> instruction of the computation that it stands in, where its operands are found.
      times: how often it runs.
    """

    instruction: Instruction
    computation: Mapping[str, Instruction]
    times: int

    @property
    def begun_by(self) -> Instruction:
        """The instruction itself; for the end of an asynchronous operation, the one that begins it."""
        kind, done, _ = self.instruction.opcode.rpartition("-done")
        operands = map(self.computation.get, self.instruction.operands if done else ())
        return next((one for one in operands if one and one.opcode == f"{kind}-start"), self.instruction)

    @property
    def operands(self) -> list[Instruction]:
        """The instructions whose results it reads, each once, in their order."""
        names = dict.fromkeys(self.begun_by.operands)
        return [self.computation[name] for name in names if name in self.computation]


def launches(program: Program, name: str | None = None, times: int = 1) -> Iterator[Launch]:
    """Instructions that a computation runs, and those of all that it calls, in the order in which they are written.

    A fusion is one instruction. A loop's body is visited once, with as many `times` as it runs; a loop of unknown trip
    count counts as running once, and a conditional as the branch with the most cycles, or else the most instructions.

    Args:
      program: the compiled program.
      name: of the computation; None: the entry computation.
      times: how often the computation runs.
    """
    instructions = program.computations.get(program.name if name is None else name, ())
    computation = {instruction.name: instruction for instruction in instructions}
    for instruction in instructions:
        called = instruction.called
        if instruction.opcode == "while":
            trips = trip_count(program, instruction) or 1
            for part in ("body", "condition"):
                yield from launches(program, called.get(part, ""), times * trips)
        elif instruction.opcode == "conditional":
            branches = (list(launches(program, branch, times)) for branch in instruction.branches)
            yield from max(branches, key=_cost, default=[])
        elif instruction.opcode == "call":
            yield from launches(program, called.get("to_apply", ""), times)
        elif instruction.opcode == "async-start":
            yield from launches(program, called.get("calls", ""), times)
        if _runs(instruction):
            yield Launch(instruction, computation, times)


def _runs(instruction: Instruction) -> bool:
    if instruction.cycles:
        return True
    nothing = instruction.opcode in _NOTHING or instruction.opcode.endswith(_ASYNCHRONOUS)
    return not nothing and not any(target in instruction.rest for target in _NO_CODE)


def _cost(branch: list[Launch]) -> tuple[int, int]:
    return sum(launch.times * (launch.instruction.cycles or 0) for launch in branch), len(branch)

"""Where in a model a compiled step spends cycles and bytes, and which kernels cost the most."""

import dataclasses
from collections.abc import Callable, Iterable

from hasnn_jax.planning.hlo_bytes import touched_bytes
from hasnn_jax.planning.hlo_parser import Program
from hasnn_jax.planning.hlo_walk import launches
from hasnn_jax.planning.op_names import Place, find_place, name_of

COSTLIEST = 20
DECODER = "decoder"
SPIKING = ("snn", "encoder")


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel of a step: what the device runs as a unit, a fusion or a single operation.

    Attributes:
      name: in the compiled program.
      opcode: such as fusion or custom-call.
      op_name: of the JAX operation that it comes from, or of one of several; empty if none is known.
      times: how often it runs.
      cycles: of all runs, as the compiler estimates them; 0 where it does not.
      bytes: that all runs read and write.
    """

    name: str
    opcode: str
    op_name: str
    times: int
    cycles: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Part:
    """What the kernels of one place in a model cost.

    Attributes:
      block, path, direction: see `op_names.Place`; all None for kernels without a name that tells their place. The path
        of what joins the paths of a hybrid block is DECODER.
      kernels: how many run.
      cycles, bytes: of all of them; see `Kernel`.
    """

    block: str | None
    path: str | None
    direction: str | None
    kernels: int
    cycles: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Profile:
    """The costs of a step by place.

    A kernel counts for one place as a whole, even if the compiler fused operations of several into it.

    Attributes:
      parts: of every place, in the order in which the step comes to them.
      costliest: the COSTLIEST kernels with the most cycles, or else the most bytes.
    """

    parts: tuple[Part, ...]
    costliest: tuple[Kernel, ...]

    @property
    def cycles(self) -> int:
        """Of all kernels."""
        return sum(part.cycles for part in self.parts)

    @property
    def bytes(self) -> int:
        """Of all kernels."""
        return sum(part.bytes for part in self.parts)

    @property
    def kernels(self) -> int:
        """How many run."""
        return sum(part.kernels for part in self.parts)

    @property
    def unnamed(self) -> Part:
        """All kernels without a name that tells their place."""
        return self.sums(lambda part: part.block).get(None, Part(None, None, None, 0, 0, 0))

    def sums(self, key: Callable[[Part], str | None]) -> dict[str | None, Part]:
        """The parts added up by block, path or direction: key(part) -> a part with the sums."""
        sums: dict[str | None, Part] = {}
        for part in self.parts:
            old = sums.get(key(part), Part(None, None, None, 0, 0, 0))
            sums[key(part)] = Part(
                None, None, None, old.kernels + part.kernels, old.cycles + part.cycles, old.bytes + part.bytes
            )
        return sums


def read_profile(program: Program) -> Profile:
    """The profile of one run of a compiled program."""
    kernels = [
        Kernel(
            name=launch.instruction.name,
            opcode=launch.instruction.opcode,
            op_name=name_of(program, launch),
            times=launch.times,
            cycles=launch.times * (launch.instruction.cycles or 0),
            bytes=launch.times * touched_bytes(program, launch),
        )
        for launch in launches(program)
    ]
    costliest = sorted(kernels, key=lambda kernel: (kernel.cycles, kernel.bytes), reverse=True)[:COSTLIEST]
    return Profile(_by_place(kernels), tuple(costliest))


def _by_place(kernels: Iterable[Kernel]) -> tuple[Part, ...]:
    sums: dict[Place | None, list[int]] = {}
    for kernel in kernels:
        counts = sums.setdefault(find_place(kernel.op_name), [0, 0, 0])
        for index, count in enumerate((kernel.times, kernel.cycles, kernel.bytes)):
            counts[index] += count
    hybrid = {place.block for place in sums if place and place.path in SPIKING}
    parts = []
    for place, counts in sums.items():
        if place is None:
            parts.append(Part(None, None, None, *counts))
        else:
            path = place.path or (DECODER if place.block in hybrid else "")
            parts.append(Part(place.block, path, place.direction, *counts))
    return tuple(parts)

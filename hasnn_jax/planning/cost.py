"""What a compiled program costs a device, read off the executable."""

import dataclasses
from typing import Any

from hasnn_jax.planning.hlo import Collective, by_kind, known_trips, parse_hlo, sum_up


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
    looped = any(i.opcode == "while" and known_trips(program, i) == trips for i in program.entry)
    flops, read = (counted.get(name) for name in ("flops", "bytes accessed"))
    total = sum_up(program, program.name, devices)
    return Cost(
        memory=read_memory(compiled.memory_analysis()),
        flops=flops * trips if flops and looped else flops,
        bytes_accessed=read * trips if read and looped else read,
        cycles=total.cycles if program.estimated else None,
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

"""What one run of a compiled program costs each device, read from the executable."""

import dataclasses
from typing import Any

from hasnn_jax.planning.hlo_flops import matrix_flops
from hasnn_jax.planning.hlo_parser import Program, trip_count
from hasnn_jax.planning.hlo_totals import Collective, by_kind, sum_up
from hasnn_jax.planning.profile import Profile


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes of a device's memory.

    Attributes:
      arguments, results, aliased, temporary, program: sizes of argument, output, alias, temp and generated code, as
        `Compiled.memory_analysis` gives them. Aliased bytes are results in the place of donated arguments.
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
    """What one run of a compiled program costs each device.

    Attributes:
      memory: see `Memory`.
      flops: as XLA counts them; where it does not, which is on GPUs, those of convolutions and matrix products.
      bytes_accessed: bytes that operations read and write, as XLA counts them; where it does not, see `hlo_bytes`. On
        TPUs, some of these bytes stay in memory on the chip's core.
      kernels: how many run.
      cycles: the compiler's estimate for everything but collectives; None where it gives none.
      loops_unknown: loops whose trip count is unknown; they are counted as running once.
      collectives: by kind.
    """

    memory: Memory
    flops: float
    bytes_accessed: float
    kernels: int
    cycles: int | None
    loops_unknown: int
    collectives: tuple[Collective, ...]


def read_cost(compiled: Any, program: Program, profile: Profile, devices: int, accumulation_steps: int = 1) -> Cost:
    """The cost of a compiled program.

    Args:
      compiled: a `jax.stages.Compiled`.
      program: its text, parsed.
      profile: of that program.
      devices: that it runs on.
      accumulation_steps: gradient accumulation steps per device: the trip count of the loop that does nearly all of the
        work. XLA counts the FLOPs and bytes of a loop's body once, so they are multiplied by it.
    """
    analysis = compiled.cost_analysis() or {}
    accumulates = any(i.opcode == "while" and trip_count(program, i) == accumulation_steps for i in program.entry)
    times = accumulation_steps if accumulates else 1
    flops, accessed = (analysis.get(name) for name in ("flops", "bytes accessed"))
    totals = sum_up(program, program.name, devices)
    return Cost(
        memory=read_memory(compiled.memory_analysis()),
        flops=matrix_flops(program) if flops is None else flops * times,
        bytes_accessed=profile.bytes if accessed is None else accessed * times,
        kernels=profile.kernels,
        cycles=totals.cycles if program.has_cycles else None,
        loops_unknown=totals.loops_unknown,
        collectives=by_kind(totals.collectives),
    )


def read_memory(analysis: Any) -> Memory:
    """The memory that `Compiled.memory_analysis()` describes; it is the same on every device."""
    names = ("argument", "output", "alias", "temp", "generated_code")
    arguments, results, aliased, temporary, program = (getattr(analysis, f"{name}_size_in_bytes") for name in names)
    held = arguments + results - aliased + temporary
    return Memory(
        arguments, results, aliased, temporary, program, max(held, getattr(analysis, "peak_memory_in_bytes", 0))
    )

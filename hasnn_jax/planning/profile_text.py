"""A profile as text for a person: tables by block, path and direction, and the costliest kernels."""

from collections.abc import Callable, Iterable

from hasnn_jax.planning.profile import Kernel, Part, Profile

UNNAMED = "(no name)"
NO_PATH = "(no path)"
_KEYS: dict[str, Callable[[Part], str | None]] = {
    "block": lambda part: part.block,
    "path": lambda part: part.path,
    "direction": lambda part: part.direction,
}


def describe_profile(profile: Profile) -> str:
    """The whole profile, in lines; without cycles if the compiler estimates none."""
    cycles = profile.cycles > 0
    total = f"{profile.cycles / 1e6:,.4g} million cycles, " if cycles else ""
    unnamed = profile.unnamed
    share = f"{_share(unnamed.cycles, profile.cycles)} % of the cycles and " if cycles else ""
    lines = [
        "",
        f"profile of a step, on each device: {total}{profile.bytes / 1e9:,.4g} GB of operands and results without "
        f"padding, {profile.kernels:,} kernels",
        f"a kernel counts for one place as a whole; {share}{_share(unnamed.bytes, profile.bytes)} % of the bytes carry "
        "no name",
    ]
    for name, key in _KEYS.items():
        lines += _table(name, profile, key, cycles)
    return "\n".join([*lines, *_costliest(profile.costliest, cycles)])


def _table(name: str, profile: Profile, key: Callable[[Part], str | None], cycles: bool) -> list[str]:
    """The sums for every value of a key, the costliest first."""
    rows = sorted(profile.sums(key).items(), key=lambda row: (row[1].cycles, row[1].bytes), reverse=True)
    heads = ["Mcycles", "%"] if cycles else []
    lines = ["", _row(name, [*heads, "MB", "%", "kernels"])]
    for value, part in rows:
        cells = [f"{part.cycles / 1e6:,.3f}", _share(part.cycles, profile.cycles)] if cycles else []
        cells += [f"{part.bytes / 1e6:,.1f}", _share(part.bytes, profile.bytes), f"{part.kernels:,}"]
        lines.append(_row(UNNAMED if value is None else value or NO_PATH, cells))
    return lines


def _row(name: str, cells: Iterable[str]) -> str:
    return f"  {name:<16}" + "".join(f"{cell:>{8 if index % 2 else 12}}" for index, cell in enumerate(cells))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "-"


def _costliest(kernels: Iterable[Kernel], cycles: bool) -> list[str]:
    lines = ["", "the costliest kernels, all their runs in a step"]
    for number, kernel in enumerate(kernels, start=1):
        estimated = f"{kernel.cycles / 1e6:,.3f} Mcycles, " if cycles else ""
        runs = f", {kernel.times} runs" if kernel.times > 1 else ""
        lines += [
            f"  {number:>2}  {estimated}{kernel.bytes / 1e6:,.1f} MB  {kernel.opcode} {kernel.name}{runs}",
            f"      {kernel.op_name or UNNAMED}",
        ]
    return lines

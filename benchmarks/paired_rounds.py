"""Timing several ways to do the same, in turn, so that all of them meet the same disturbances of the machine."""

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

WARM_UP = 2  # calls: the first one may compile, the second one fills caches
SHORTEST = 0.05  # seconds; quicker calls are repeated within a round, so that waiting for their end does not count
PAUSE = 0.02  # seconds; threads of one library that still spin for more work must not slow the next one

Work = Callable[[int], object]
"""Does the work so many times, and waits for the last one to end."""


def time_in_turn(
    works: Mapping[str, Work], rounds: int, on_round: Callable[[int], object] = lambda done: None
) -> dict[str, list[float]]:
    """Seconds of one call of each work in each round. A round does every work once: A B A B ...

    Args:
      works: by name; each is warmed up first.
      rounds: 1 or more.
      on_round: is called with the number of rounds done.
    """
    repeats = {name: _repeats(work) for name, work in works.items()}
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for done in range(rounds):
        for name, work in works.items():
            time.sleep(PAUSE)
            seconds[name].append(_seconds(work, repeats[name]))
        on_round(done + 1)
    return seconds


def _repeats(work: Work) -> int:
    for _ in range(WARM_UP - 1):
        work(1)
    return max(1, math.ceil(SHORTEST / max(_seconds(work, 1), 1e-9)))


def _seconds(work: Work, repeats: int) -> float:
    began = time.perf_counter()
    work(repeats)
    return (time.perf_counter() - began) / repeats


def quartiles(values: Sequence[float]) -> dict[str, float]:
    """{"lower", "median", "upper"}: the three quartiles, interpolated linearly."""
    return dict(zip(("lower", "median", "upper"), map(float, np.quantile(values, (0.25, 0.5, 0.75))), strict=True))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> dict[str, float]:
    """Quartiles of the rounds' ratios. What disturbs both members of a round cancels out."""
    return quartiles([a / b for a, b in zip(numerators, denominators, strict=True)])

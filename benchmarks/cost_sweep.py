"""Cost of the port's training step against the batch and the planes that are kept, and the straight line through it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from paired_rounds import quartiles, time_in_turn
from port_side import PortSide
from train_step_cases import Case

BATCHES = (4, 8, 16, 32, 64)
PLANES = (2, 4, 8)
ALL_PLANES = 8


def sweep_cases(case: Case) -> dict[str, dict[int, Case]]:
    """The variants of a case by the value that is varied: "batch" with all planes, "planes" with the case's batch."""
    planes = {
        kept: case
        if kept == ALL_PLANES
        else dataclasses.replace(case, settings=(*case.settings, ("model.spiking.planes", kept)))
        for kept in PLANES
    }
    return {"batch": {batch: dataclasses.replace(case, batch=batch) for batch in BATCHES}, "planes": planes}


def measure_sweep(case: Case, rounds: int, progress: Callable[[str, int, int], object]) -> dict[str, Any]:
    """Times the training steps of all variants in turn.

    Returns:
      for "batch" and "planes": its "values"; "step" with the "medians" of the seconds, their "quartiles", and the
      "seconds" of every round; "memory" with the "sizes" of the compiled step's temporary memory in bytes. Both have
      the "line" through them; see `straight_line`.
    """
    axes = sweep_cases(case)
    distinct = list(dict.fromkeys(variant for variants in axes.values() for variant in variants.values()))
    sides = {}
    for done, variant in enumerate(distinct, start=1):
        sides[variant] = PortSide(variant)
        progress("compiling", done, len(distinct))
    calls = {variant.name: side.train for variant, side in sides.items()}
    seconds = time_in_turn(calls, rounds, lambda done: progress("rounds of step", done, rounds))
    return {axis: _along(variants, sides, seconds) for axis, variants in axes.items()}


def _along(variants: dict[int, Case], sides: dict[Case, PortSide], seconds: dict[str, list[float]]) -> dict[str, Any]:
    values = list(variants)
    rounds = [seconds[variant.name] for variant in variants.values()]
    spreads = [quartiles(of_value) for of_value in rounds]
    medians = [spread["median"] for spread in spreads]
    sizes = [sides[variant].programs["step"]["memory"]["temp"] for variant in variants.values()]
    return {
        "values": values,
        "step": {
            "medians": medians,
            "line": straight_line(values, medians),
            "quartiles": spreads,
            "seconds": rounds,
        },
        "memory": {"sizes": sizes, "line": straight_line(values, sizes)},
    }


def straight_line(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """The line through points by least squares.

    Returns:
      "intercept" and "slope"; "r_squared", the share of the variance that it explains; "largest_deviation", the
      greatest distance of a point from the line, as a share of the point's own value.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    slope, intercept = np.polyfit(x, y, 1)
    residuals = y - (intercept + slope * x)
    variation = np.sum((y - y.mean()) ** 2)
    return {
        "intercept": float(intercept),
        "slope": float(slope),
        "r_squared": float(1 - np.sum(residuals**2) / variation) if variation else 1.0,
        "largest_deviation": float(np.max(np.abs(residuals) / np.abs(y))),
    }

"""What `train_step.py` has measured, in a paragraph."""

from collections.abc import Mapping
from typing import Any

from train_step_plots import MIB, speed


def summary(numbers: Mapping[str, Any]) -> str:
    """A sentence or two for each case, or for each axis of a sweep."""
    if "sweep" in numbers:
        return f"{numbers['name']}: " + " ".join(_axis(name, points) for name, points in numbers["sweep"].items())
    return "\n".join(_case(case) for case in numbers["cases"])


def _case(case: Mapping[str, Any]) -> str:
    port, *twins = case["rows"]
    compiled, roofline = port["compilation"]["step"], port["step"]["roofline"]
    temporary = port["programs"]["step"]["memory"]["temp"]
    of_roofline = "" if roofline["of_roofline"] is None else f" and {roofline['of_roofline']:.0%} of the roofline"
    text = (
        f"{case['name']}: the port trains {speed(port['step'])} and evaluates {speed(port['evaluation'])}; "
        f"{_memory(port)}, and by XLA's count its temporary arrays take {temporary / MIB:,.0f} MiB; tracing and "
        f"lowering the step took {compiled['lower']:.1f} s and compiling it {compiled['compile']:.1f} s; it reaches "
        f"{roofline['of_products']:.0%} of the measured product rate{of_roofline}; its first loss is "
        f"{port['losses']['step']:.6g}."
    )
    exact = case["float64_losses"]
    checked = [f"In float64 the first loss is {exact['port']:.9g}, the twin's {exact['twin']:.9g}."] if exact else []
    return " ".join([text, *(_twin(twin) for twin in twins), *checked])


def _twin(twin: Mapping[str, Any]) -> str:
    if "failed" in twin:
        return f"The {twin['name']} does not run here: {twin['failed']}."
    step, evaluation = (twin[work]["over_port"] for work in ("step", "evaluation"))
    return (
        f"The {twin['name']} trains {speed(twin['step'])}, taking {step['median']:.2f} times the port's time "
        f"(quartiles {step['lower']:.2f} to {step['upper']:.2f}), and evaluates {speed(twin['evaluation'])}, "
        f"{evaluation['median']:.2f} times ({evaluation['lower']:.2f} to {evaluation['upper']:.2f}); {_memory(twin)}; "
        f"its first loss is {twin['losses']['step']:.6g}."
    )


def _memory(row: Mapping[str, Any]) -> str:
    memory = row["memory"]
    if not {"growth", "peak"} & memory.keys():
        return "memory was not measured"
    if "peak" in memory:
        return f"training takes up to {memory['peak'] / MIB:,.0f} MiB"
    return f"a step adds {memory['growth'] / MIB:,.0f} MiB to the process"


def _axis(name: str, points: Mapping[str, Any]) -> str:
    time, memory = (points[kind]["line"] for kind in ("step", "memory"))
    unit = {"batch": "image", "planes": "plane"}[name]
    values = ", ".join(map(str, points["values"]))
    return (
        f"With {name} {values} a step takes {1e3 * time['intercept']:,.3g} ms + {1e3 * time['slope']:,.3g} ms per "
        f"{unit}, up to {time['largest_deviation']:.0%} off that line, and {memory['intercept'] / MIB:,.3g} MiB + "
        f"{memory['slope'] / MIB:,.3g} MiB per {unit}, up to {memory['largest_deviation']:.0%} off."
    )

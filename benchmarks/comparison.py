"""One case of `train_step.py`: port and twins built, checked against each other, timed in turn, and put into rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agreement import float64_losses, require_agreement
from paired_rounds import quartiles, ratios, time_in_turn
from port_side import PortSide, model_of
from roofline import roofline, step_flops
from train_step_cases import TWINS, Case

from hasnn_jax.common.errors import first_line

Progress = Callable[[str, int, int], object]
"""(stage, done, total)"""


def measure_case(
    case: Case, device: str, twins: Sequence[str], rounds: int, rates: Mapping[str, float], progress: Progress
) -> dict[str, Any]:
    """Times the port, and the twins if there are any, in turn.

    Args:
      case: what is timed.
      device: of the twins: "cpu" or "cuda".
      twins: of `train_step_cases.TWINS`; with none the port starts from fresh variables.
      rounds: of timing, of training steps and then of evaluations.
      rates: from `device_rates`.
      progress: is told what has been done.

    Returns:
      "float64_losses" of port and twin, {} without one; "rows" by name, the port's first: "losses" of the first "step"
      and "evaluation", "compilation", "programs" (of the port), and for "step" and "evaluation" what `_timed` returns,
      "flops" and "roofline". The row of a twin that does not run has "failed" instead.

    Raises:
      AssertionError: the first losses of port and twin differ, so that times would be those of different computations.
    """
    exact, sides = _build(case, device, twins, progress)
    rows: dict[str, dict[str, Any]] = {name: {} for name in sides}
    for name, side in list(sides.items()):
        try:
            rows[name]["losses"] = {"evaluation": side.evaluate(1), "step": side.train(1)}
        except RuntimeError as error:  # of torch.compile, or for want of memory
            if name == "port":
                raise
            rows[name]["failed"] = first_line(error)
            del sides[name]
    for name in sides:
        for work, expected in rows["port"]["losses"].items():
            require_agreement(rows[name]["losses"][work], expected, case.dtype, f"{name}, first {work}")

    flops = step_flops(model_of(case), (case.image_size, case.image_size, 3), case.batch)
    for work in ("step", "evaluation"):
        calls = {name: side.train if work == "step" else side.evaluate for name, side in sides.items()}
        stage = f"{case.name}: rounds of {work}"
        seconds = time_in_turn(calls, rounds, lambda done, stage=stage: progress(stage, done, rounds))
        for name, side in sides.items():
            timed = _timed(seconds[name], case.batch, seconds["port"])
            accessed = side.programs[work]["bytes_accessed"] if name == "port" else None
            nearness = roofline(timed["median"], flops[work], accessed, rates[case.dtype], rates["copy"])
            rows[name][work] = timed | {"flops": flops[work], "roofline": nearness}
    for name, side in sides.items():
        rows[name]["compilation"] = side.compilation
    rows["port"]["programs"] = sides["port"].programs
    return {"float64_losses": exact, "rows": rows}


def _build(
    case: Case, device: str, twins: Sequence[str], progress: Progress
) -> tuple[dict[str, float], dict[str, Any]]:
    """The losses in float64, and the sides by name, the port first."""
    stage = f"{case.name}: comparing losses and compiling"
    progress(stage, 0, 2)
    if not twins:
        return {}, {"port": PortSide(case)}
    from torch_side import TorchSide, initial_state_dict

    state_dict = initial_state_dict(case)
    losses = float64_losses(case, device, state_dict)
    progress(stage, 1, 2)
    sides = {"port": PortSide(case, state_dict)} | {TWINS[twin]: TorchSide(case, device, twin) for twin in twins}
    progress(stage, 2, 2)
    return losses, sides


def _timed(seconds: Sequence[float], batch: int, port_seconds: Sequence[float]) -> dict[str, Any]:
    """What is stored of a row's times: "seconds" of every round, "lower", "median" and "upper", "images_per_second".

    "over_port" has the quartiles of the rounds' ratios to the port's seconds.
    """
    spread = quartiles(seconds)
    return {
        "seconds": list(seconds),
        **spread,
        "images_per_second": batch / spread["median"],
        "over_port": ratios(seconds, port_seconds),
    }

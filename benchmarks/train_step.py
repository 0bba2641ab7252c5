"""Times training step and evaluation of the port against the PyTorch twin of the release, interleaved in one run.

    python benchmarks/train_step.py                                  # the cases of this device, CPU or GPU
    python benchmarks/train_step.py --cases b32_16x32 --rounds 5     # one of them
    python benchmarks/train_step.py --spec as_described              # the paper's system, which has no twin
    python benchmarks/train_step.py --cases b32_16x32 --sweep        # the port's cost against batch and planes
    python benchmarks/train_step.py --draw                           # only draws, from the numbers of the last runs

Both start from the same weights and see the same images; their first losses must agree, or nothing is timed (in float64
to 1e-5, see `agreement.py`). Writes `train_step_cpu.json` and `.png`, or `_gpu`, and with further words for another
spec or a sweep, into `benchmarks/results/`. The twin needs the extra `peers`; a twin that does not run has a row that
says why.
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
from comparison import measure_case
from cost_sweep import measure_sweep
from machine import describe_machine
from peak_memory import measure_memory
from roofline import device_rates
from train_step_cases import CASES, TWINS, Case, replaced
from train_step_plots import draw
from train_step_text import summary

from hasnn_jax.common.errors import InputError
from hasnn_jax.common.lookup import look_up
from hasnn_jax.common.progress import StageProgress

RESULTS = pathlib.Path(__file__).parent / "results"
TWINS_OF = {"cpu": ("plain", "channels_last"), "gpu": tuple(TWINS)}  # torch.compile does not end on two cores


def main() -> None:
    """Measures, stores, draws, and prints a summary."""
    parser = _parser()
    options = parser.parse_args()
    # Port and twin share the memory of a GPU, of which JAX would take three quarters at its start.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # compile times are part of the result
    try:
        paths = sorted(options.results.glob("train_step_*.json")) if options.draw else [run(options)]
        if not paths:
            raise InputError(f"--draw: expected train_step_*.json in {options.results}, got none; measure first")
    except InputError as error:
        parser.exit(1, f"{error}\n")
    for path in paths:
        numbers = json.loads(path.read_text())
        draw(numbers, path.with_suffix(".png"))
        print(summary(numbers))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ", ".join(name for cases in CASES.values() for name in cases)
    parser.add_argument("--cases", nargs="+", metavar="NAME", help=f"of {names}; default: those of this device")
    parser.add_argument("--model", help="replaces the cases' model; see hasnn_jax.list_models()")
    parser.add_argument("--batch", type=int, help="replaces their batch")
    parser.add_argument("--image_size", type=int, help="replaces their height and width, in pixels")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="replaces their precision")
    parser.add_argument("--spec", choices=("as_released", "as_described"), default="as_released")
    parser.add_argument("--twins", nargs="+", choices=TWINS, help="default: all, on a CPU without compile")
    parser.add_argument("--rounds", type=int, default=11, help="interleaved rounds of timing")
    parser.add_argument("--sweep", action="store_true", help="time the port at several batches and planes")
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, metavar="DIR", help="where the files are")
    return parser


def run(options: argparse.Namespace) -> pathlib.Path:
    """Measures what the options ask for. Returns the path of the stored numbers.

    Raises:
      InputError: an option that does not fit, a device without cases, or no PyTorch.
    """
    kind = jax.default_backend()
    cases = chosen_cases(options, look_up("kind of device", kind, CASES))
    if options.rounds < 1:
        raise InputError(f"--rounds: expected 1 or more, got {options.rounds}")
    numbers: dict[str, Any] = {"machine": describe_machine(), "rounds": options.rounds}
    with StageProgress() as progress:
        if options.sweep:
            case = cases[0]
            numbers |= {"name": case.name, "case": dataclasses.asdict(case)}
            numbers["sweep"] = measure_sweep(case, options.rounds, progress)
        else:
            twins = chosen_twins(options, kind)
            numbers |= compare(cases, "cuda" if kind == "gpu" else kind, twins, options.rounds, progress)
    words = ["train_step", *(["sweep"] if options.sweep else []), kind]
    words += [options.spec] if options.spec != "as_released" else []
    path = options.results / f"{'_'.join(words)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(numbers) + "\n")
    return path


def chosen_cases(options: argparse.Namespace, of_device: dict[str, Case]) -> list[Case]:
    """The cases that the options name, with what the options replace."""
    every = {name: case for cases in CASES.values() for name, case in cases.items()}
    cases = [look_up("case", name, every) for name in options.cases or of_device]
    fields = ("model", "batch", "image_size", "dtype", "spec")
    cases = replaced(cases, **{field: getattr(options, field) for field in fields})
    for case in cases:
        case.config()  # refuses what is out of range before anything is timed
    return cases


def chosen_twins(options: argparse.Namespace, kind: str) -> Sequence[str]:
    """The variants of the twin to time; none for a spec that the twin does not have.

    Raises:
      InputError: PyTorch or SpikingJelly is missing, or PyTorch has no GPU where JAX has one.
    """
    if options.spec != "as_released":
        return ()
    missing = [name for name in ("torch", "spikingjelly") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"the twin needs {' and '.join(missing)}: pip install -e '.[peers]'; or time the port alone, with "
            "--spec as_described"
        )
    if kind == "gpu":
        import torch

        if not torch.cuda.is_available():
            raise InputError("JAX has a GPU, PyTorch has none: install a PyTorch for CUDA, or set JAX_PLATFORMS=cpu")
    return options.twins or TWINS_OF[kind]


def compare(cases: Sequence[Case], device: str, twins: Sequence[str], rounds: int, progress: Any) -> dict[str, Any]:
    """Measures all cases: memory first, while this process has taken none of the device's.

    A twin that fails in the process that measures its memory is not timed; its row says why.
    """
    names = {"port": "port"} | {twin: TWINS[twin] for twin in twins}
    memory: dict[Case, dict[str, dict[str, Any]]] = {case: {} for case in cases}
    for case, of_case in memory.items():
        stage = f"{case.name}: memory"
        progress(stage, 0, len(names))
        for side, name in names.items():
            of_case[name] = measure_memory(case, side, device)
            progress(stage, len(of_case), len(names))
    rates = device_rates(dict.fromkeys(case.dtype for case in cases))
    compared = []
    for case, of_case in memory.items():
        running = [twin for twin in twins if "failed" not in of_case[TWINS[twin]]]
        measured = measure_case(case, device, running, rounds, rates, progress)
        # Where a row is missing, the memory's says why.
        rows = [
            {"name": name, "memory": of_row, **measured["rows"].get(name, of_row)} for name, of_row in of_case.items()
        ]
        compared.append({"name": case.name, "case": dataclasses.asdict(case), **measured, "rows": rows})
    return {"rates": rates, "cases": compared}


if __name__ == "__main__":
    main()

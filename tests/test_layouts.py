"""The same training on 1 device, on 8, and on 2 processes of 4 each: the same losses, gradients and weights.

All devices are virtual ones of the CPU. `layout_run.py` is what runs on each layout; it also trains every case twice
and asserts that nothing differs by a bit.
"""

import pathlib
import re

import numpy as np
import pytest
import several_processes

TESTS = pathlib.Path(__file__).parent
EXACT = (
    "groups",
    "groups, accumulated, full sharding",
    "whole batch, averaged, mixed, full sharding",
    "released, groups, full sharding",
)
LAYOUTS = {"one device": (1, 1), "eight devices": (8, 1), "two processes": (4, 2)}

pytestmark = pytest.mark.slow


def run_layout(folder, devices, count):
    cases = ";".join([*(f"{case}:float64" for case in EXACT), "groups:float32"])
    out = folder / "out.npz"
    several_processes.run([TESTS / "layout_run.py", cases, out], devices=devices, count=count, flags=["{}"] * 3)
    with np.load(out) as file:
        return dict(file)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return {name: run_layout(tmp_path_factory.mktemp("layout"), *layout) for name, layout in LAYOUTS.items()}


def distance(a, b):
    """Relative to the length of the first."""
    return np.linalg.norm(a - b) / np.linalg.norm(a)


@pytest.mark.parametrize("layout", ["eight devices", "two processes"])
@pytest.mark.parametrize("case", EXACT)
def test_twenty_steps_in_float64_end_the_same_on_any_layout(case, layout, found):
    for what in ("losses", "final"):
        one, many = (found[name][f"{case}:float64/{what}"] for name in ("one device", layout))
        assert one.dtype == np.float64
        assert distance(one, many) < 1e-10, what


@pytest.mark.parametrize("layout", ["eight devices", "two processes"])
def test_the_first_step_in_float32_is_the_same_on_any_layout(layout, found):
    one, many = found["one device"], found[layout]
    np.testing.assert_allclose(many["groups:float32/losses"][0], one["groups:float32/losses"][0], rtol=1e-5)
    assert distance(one["groups:float32/gradient"], many["groups:float32/gradient"]) < 1e-5
    # A spike that rounding flips would show from some later step on; here it does not come to that.
    assert distance(one["groups:float32/losses"], many["groups:float32/losses"]) < 1e-3


def collectives(hlo):
    """Kind, dtypes and numbers of elements of every collective in a compiled program."""
    kinds = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute|collective-broadcast"
    pattern = rf"= (.+?) ({kinds})(?:-start)?\("
    for shapes, kind in re.findall(pattern, hlo):
        arrays = re.findall(r"([a-z]+\d+)\[([\d,]*)\]", shapes)
        yield kind, [(dtype, int(np.prod([int(n) for n in size.split(",") if n]))) for dtype, size in arrays]


def test_where_groups_stay_on_devices_the_gradient_reduction_is_the_only_communication(found):
    case = found["eight devices"]
    reductions = list(collectives(str(case["groups:float32/hlo"])))
    assert [kind for kind, _ in reductions] == ["all-reduce"]
    # What is reduced: gradients, running statistics, and the sums of loss, right answers and replaced images.
    (_, arrays), counted = reductions[0], int(case["groups:float32/counted"])
    assert {dtype for dtype, _ in arrays} == {"f32"}
    assert sum(size for _, size in arrays) == len(case["groups:float32/final"]) - counted + 3


def test_full_sharding_gathers_weights_and_scatters_gradients(found):
    case = found["eight devices"]
    kinds = {kind for kind, _ in collectives(str(case["released, groups, full sharding:float64/hlo"]))}
    assert {"all-gather", "reduce-scatter"} <= kinds <= {"all-gather", "reduce-scatter", "all-reduce"}


def test_statistics_over_several_devices_are_communicated(found):
    reductions = list(
        collectives(str(found["eight devices"]["whole batch, averaged, mixed, full sharding:float64/hlo"]))
    )
    assert len(reductions) > 1

"""The benchmark of the training step runs from start to end: port and twin, in processes of their own."""

import json
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("spikingjelly")
BENCHMARK = pathlib.Path(__file__).parents[2] / "benchmarks/train_step.py"
ONE_CASE = ["--cases", "b32_16x32", "--twins", "plain", "--rounds", "2"]
SMALL = [*ONE_CASE, "--model", "has8_vgg_b1_m1_d1", "--batch", "2", "--image_size", "8"]


@pytest.mark.slow
def test_port_and_twin_are_timed_and_drawn(tmp_path):
    command = [sys.executable, BENCHMARK, *SMALL, "--results", tmp_path]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert "The twin trains" in result.stdout
    assert (tmp_path / "train_step_cpu.png").exists()
    numbers = json.loads((tmp_path / "train_step_cpu.json").read_text())
    (case,) = numbers["cases"]
    port, twin = case["rows"]
    assert (port["name"], twin["name"]) == ("port", "twin")
    assert case["float64_losses"]["twin"] == pytest.approx(case["float64_losses"]["port"], rel=1e-9)
    assert twin["losses"] == pytest.approx(port["losses"], rel=1e-3)
    assert port["compilation"]["step"].keys() == {"lower", "compile"}
    for row in (port, twin):
        assert row["memory"]["growth"] > 0
        for work in ("step", "evaluation"):
            assert len(row[work]["seconds"]) == 2
            assert row[work]["roofline"]["of_products"] > 0
    assert numbers["machine"]["versions"].keys() >= {"jax", "torch", "spikingjelly"}

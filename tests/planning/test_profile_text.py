"""A profile as text: tables of shares, and the costliest kernels."""

import dataclasses
import re

import pytest
from known_costs import PROFILE

from hasnn_jax.planning.profile_text import describe_profile


def table(text, name):
    """Row name -> its numbers, of the table with that heading."""
    lines = text.partition(f"\n  {name} ")[2].partition("\n\n")[0].splitlines()[1:]
    rows = (re.split(r"\s{2,}", line.strip()) for line in lines)
    return {row[0]: [float(number.replace(",", "")) for number in row[1:]] for row in rows}


def test_tables_have_cycles_bytes_and_shares_that_sum_to_one_hundred():
    text = describe_profile(PROFILE)
    assert "1,500 million cycles, 0.1 GB of operands and results without padding, 30 kernels" in text
    assert "20.0 % of the cycles and 10.0 % of the bytes carry no name" in text
    blocks = table(text, "block")
    assert list(blocks.items()) == [
        ("stem", [1100.0, 73.3, 86.0, 86.0, 21.0]),
        ("(no name)", [300.0, 20.0, 10.0, 10.0, 5.0]),
        ("optimizer", [100.0, 6.7, 4.0, 4.0, 4.0]),
    ]
    assert table(text, "path").keys() == {"snn", "decoder", "(no name)", "(no path)"}
    assert table(text, "direction").keys() == {"forward", "backward", "update", "(no name)"}
    for name in ("block", "path", "direction"):
        rows = table(text, name).values()
        assert sum(row[1] for row in rows) == pytest.approx(100, abs=0.2)
        assert sum(row[3] for row in rows) == pytest.approx(100, abs=0.2)
        assert sum(row[4] for row in rows) == 30


def test_costliest_kernels_have_their_operation():
    lines = describe_profile(PROFILE).splitlines()[-4:]
    assert lines == [
        "   1  700.000 Mcycles, 9.0 MB  fusion fusion.7, 3 runs",
        "      jit(step)/jvp(Net)/stem/snn/conv/add",
        "   2  300.000 Mcycles, 10.0 MB  copy copy.1",
        "      (no name)",
    ]


def test_without_estimates_there_are_bytes_only():
    parts = tuple(dataclasses.replace(part, cycles=0) for part in PROFILE.parts)
    kernels = tuple(dataclasses.replace(kernel, cycles=0) for kernel in PROFILE.costliest)
    text = describe_profile(dataclasses.replace(PROFILE, parts=parts, costliest=kernels))
    assert "cycles" not in text
    assert table(text, "block")["stem"] == [86.0, 86.0, 21.0]
    assert "   1  9.0 MB  fusion fusion.7, 3 runs" in text

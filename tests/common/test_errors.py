"""Errors in a few words."""

import errno

import pytest

from hasnn_jax.common.errors import first_line, is_disk_full


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("cut short\nwith details"), "cut short"),
        (ValueError("  \n indented"), "indented"),
        (EOFError(), "EOFError"),
        (KeyError("name"), "'name'"),
    ],
)
def test_an_error_is_told_in_its_first_line_or_by_its_type(error, line):
    assert first_line(error) == line


def test_a_long_line_is_cut():
    line = first_line(ValueError("NOT_FOUND: " + "no such file " * 100), longest=160)
    assert line.startswith("NOT_FOUND: no such file")
    assert line.endswith(" ...")
    assert len(line) <= 160


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (RuntimeError("UNKNOWN: write failed: No space left on device"), True),
        (ValueError("RESOURCE_EXHAUSTED: File too large"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (RuntimeError("something else"), False),
    ],
)
def test_a_full_disk_is_recognised_by_number_or_by_text(error, full):
    assert is_disk_full(error) is full

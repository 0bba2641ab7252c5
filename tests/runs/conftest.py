"""Whole runs in this folder end sooner."""

import pytest

from hasnn_jax.runs import train


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch):
    """What a run measures at its end takes as long as a few epochs of a tiny one; runs of a module's fixtures do it."""
    monkeypatch.setattr(train, "measured_lines", lambda *of_the_run: [])

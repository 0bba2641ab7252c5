"""The sign of life while something lasts."""

import io
import sys
import time

import pytest

from hasnn_jax.common.console import Waiting


@pytest.mark.parametrize("on_terminal", [False, True])
def test_waiting_shows_that_it_lasts(on_terminal, monkeypatch):
    screen = io.StringIO()
    screen.isatty = lambda: on_terminal
    monkeypatch.setattr(sys, "stderr", screen)
    with Waiting("compiling", every=0.001):
        for _ in range(10_000):
            if screen.getvalue().count("compiling: 0s") >= 2:
                break
            time.sleep(0.001)
    shown = screen.getvalue()
    assert shown.count("compiling: ") >= 2
    assert shown.endswith("\r\x1b[K" if on_terminal else "\n")
    assert ("\n" in shown) is not on_terminal


def test_short_work_is_not_announced(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with Waiting("compiling"):
        pass
    assert screen.getvalue() == ""

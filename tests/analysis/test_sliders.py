"""Sliders only in a Jupyter kernel with ipywidgets; the picture alone everywhere else."""

import importlib.machinery
import sys
import types

import pytest

from hasnn_jax.analysis.sliders import can_have_sliders, interact


def draw(alpha=2, beta=3):
    return f"drawn with {alpha} and {beta}"


@pytest.fixture
def place(monkeypatch):
    """Pretends to run in IPython with this shell, and that ipywidgets is or is not installed; its calls are listed."""
    calls = []

    def pretend(shell, *, installed):
        widgets = types.ModuleType("ipywidgets")
        widgets.__spec__ = importlib.machinery.ModuleSpec("ipywidgets", None)
        widgets.interact = lambda function, **ranges: calls.append((function, ranges))
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
        monkeypatch.setitem(sys.modules, "ipywidgets", widgets if installed else None)
        if not installed:
            monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        return calls

    return pretend


def test_a_kernel_with_ipywidgets_shows_sliders_and_no_second_picture(place):
    calls = place(types.SimpleNamespace(kernel="a kernel"), installed=True)

    assert interact(draw, alpha=(0, 5), beta=(1, 9, 2)) is None
    assert calls == [(draw, {"alpha": (0, 5), "beta": (1, 9, 2)})]


@pytest.mark.parametrize(
    ("shell", "installed"),
    [(types.SimpleNamespace(kernel="a kernel"), False), (types.SimpleNamespace(), True), (None, True)],
    ids=["not installed", "a terminal", "no shell"],
)
def test_elsewhere_the_picture_is_drawn_with_the_defaults(place, shell, installed):
    calls = place(shell, installed=installed)

    assert interact(draw, alpha=(0, 5)) == "drawn with 2 and 3"
    assert calls == []


def test_without_ipython_there_are_no_sliders(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)

    assert not can_have_sliders()

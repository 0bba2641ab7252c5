"""Sliders for a picture in a notebook, where ipywidgets is installed; elsewhere the picture alone."""

import importlib.util
import sys
from collections.abc import Callable
from typing import Any


def interact(draw: Callable[..., Any], **ranges: tuple[Any, ...]) -> Any:
    """Draws a picture, with a slider for each of its arguments where there can be one.

    Args:
      draw: returns a figure; every argument has a default, at which its slider starts.
      ranges: for each argument (lowest, highest) or (lowest, highest, step), as `ipywidgets.interact` takes them.

    Returns:
      The figure with the default arguments, to be the result of a notebook cell; None if sliders are shown instead.
    """
    if not can_have_sliders():
        return draw()
    import ipywidgets

    ipywidgets.interact(draw, **ranges)
    return None


def can_have_sliders() -> bool:
    """Whether this runs in a Jupyter kernel, and ipywidgets is installed."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()  # None outside of IPython
    return hasattr(shell, "kernel") and importlib.util.find_spec("ipywidgets") is not None

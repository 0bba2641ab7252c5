"""Imports torchvision for the tests that compare with it."""

import importlib
import importlib.util

import pytest


def import_torchvision(module):
    """A module of torchvision, or a skip. Nothing that the tests use needs its compiled operators.

    A torchvision that was built for another build of PyTorch cannot load its operators, and its import then fails
    because two of them are not even declared.
    """
    torch = pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("could not import 'torchvision'", allow_module_level=True)
    try:
        return importlib.import_module(module)
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor a, Tensor b, float c) -> Tensor")
        return importlib.import_module(module)

"""Devices that need not be present, to trace programs for."""

import types

import numpy as np


def mesh_of(platform, size=1):
    """What `compile_for` asks of a mesh: its size, and the platform of its devices."""
    return types.SimpleNamespace(devices=np.array([types.SimpleNamespace(platform=platform)] * size), size=size)

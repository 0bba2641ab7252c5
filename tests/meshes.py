"""Devices that need not be present, to trace programs for."""

import dataclasses
import types

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)  # hashable, as meshes are
class DescribedMesh:
    """What `compile_for` asks of a mesh."""

    devices: np.ndarray
    size: int


def mesh_of(platform, size=1):
    """So many devices of a platform."""
    return DescribedMesh(np.array([types.SimpleNamespace(platform=platform)] * size), size)

"""The mesh of devices, and what lies where on it."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from hasnn_jax.errors import InputError


def make_mesh() -> Mesh:
    """A mesh over every device, with the axes "data" (all of them) and "model" (one)."""
    return jax.make_mesh((jax.device_count(), 1), ("data", "model"), axis_types=(AxisType.Auto,) * 2)


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on every device: the train state."""
    return NamedSharding(mesh, PartitionSpec())


def over_batch(mesh: Mesh) -> NamedSharding:
    """The first axis divided among the devices: a batch."""
    return NamedSharding(mesh, PartitionSpec("data"))


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, Any]:
    """Moves this process's share of a batch onto its devices."""
    sharding = over_batch(mesh)
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}


def require_divisible(batch_size: int, mesh: Mesh) -> None:
    """Raises InputError unless the batch divides evenly among the devices of the "data" axis."""
    devices = mesh.shape["data"]
    if batch_size % devices:
        below, above = batch_size // devices * devices, (batch_size // devices + 1) * devices
        fits = f"{below} or {above}" if below else f"{above}"
        raise InputError(f"batch_size {batch_size}: expected a multiple of the {devices} devices, such as {fits}")

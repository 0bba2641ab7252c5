"""The mesh of devices, and what lies where on it.

The batch is divided over the mesh's "data" axis. The train state is copied to every device, or its large arrays are
divided over the same axis (fully sharded data parallelism); either way the numbers are the same.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from hasnn_jax.errors import InputError
from hasnn_jax.training.state import TrainState

DATA = "data"
WHOLE = PartitionSpec()
SMALLEST_DIVIDED = 2**12  # elements; a smaller array costs more to gather than it saves


def make_mesh(devices: Any = None) -> Mesh:
    """A mesh with the axes "data" (all devices) and "model" (one); by default over every device of every process.

    Devices stand in the order of their processes: so consecutive examples of a batch, which one process reads, lie on
    that process's devices.
    """
    devices = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(devices).reshape(-1, 1), (DATA, "model"), axis_types=(AxisType.Auto,) * 2)


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, WHOLE)


def over_batch(mesh: Mesh) -> NamedSharding:
    """The first axis divided among the devices: a batch."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def by_shape(shape: tuple[int, ...], mesh: Mesh) -> NamedSharding:
    """The rule of full sharding: the longest axis that divides evenly among the devices is divided, the last of equals.

    An array without such an axis, or with fewer than 4,096 elements, is copied to every device.
    """
    devices = mesh.shape[DATA]
    fitting = [axis for axis, size in enumerate(shape) if size and size % devices == 0]
    if not fitting or np.prod(shape) < SMALLEST_DIVIDED:
        return replicated(mesh)
    longest = max(fitting, key=lambda axis: (shape[axis], axis))
    return NamedSharding(mesh, PartitionSpec(*(DATA if axis == longest else None for axis in range(len(shape)))))


def of_state(state: TrainState, mesh: Mesh, *, fully_sharded: bool) -> TrainState:
    """The sharding of every array of a train state, of arrays or of their shapes.

    With `fully_sharded`, parameters, optimizer state and averaged weights lie as `by_shape` says; the rest is small,
    and copied.
    """
    whole = replicated(mesh)
    shardings = jax.tree.map(lambda _: whole, state)
    if not fully_sharded:
        return shardings
    large = {
        name: jax.tree.map(lambda leaf: by_shape(leaf.shape, mesh), getattr(state, name))
        for name in ("params", "opt_state", "average")
    }
    return shardings.replace(**large)


def on_each_device(gradients: Callable[..., Any], mesh: Mesh, param_shardings: Any) -> Callable[..., Any]:
    """A function of a batch, computed by every device for its own share, the results brought together once at its end.

    Args:
      gradients: (params, batch_stats, batch) -> (gradients, batch_stats, sums); see `steps.gradients`.
      mesh: the devices.
      param_shardings: where the parameters lie, and so their gradients.

    Returns:
      the same function of the whole batch: its first two results are means over the devices, the third sums. Nothing
      else is communicated, but for the gathering of divided parameters.
    """
    specs = jax.tree.map(lambda sharding: sharding.spec, param_shardings)

    def of_share(params, batch_stats, batch):
        means, batch_stats, sums = gradients(params, batch_stats, batch)
        return jax.tree.map(_mean, means, specs), jax.tree.map(_mean, batch_stats), jax.lax.psum(sums, DATA)

    return jax.shard_map(
        of_share,
        mesh=mesh,
        in_specs=(WHOLE, WHOLE, PartitionSpec(DATA)),
        out_specs=(specs, WHOLE, WHOLE),
        check_vma=False,  # else differentiation would sum over the devices by itself, and more than once
    )


def _mean(x: jax.Array, spec: PartitionSpec = WHOLE) -> jax.Array:
    """Mean over the devices, each of which keeps what `spec` gives it."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x  # a count, the same on every device
    if DATA not in spec:
        return jax.lax.pmean(x, DATA)
    total = jax.lax.psum_scatter(x, DATA, scatter_dimension=tuple(spec).index(DATA), tiled=True)
    return total / jax.lax.axis_size(DATA)


def groups_stay_on_devices(group: int | None, batch_size: int, mesh: Mesh, parts: int = 1) -> bool:
    """Whether every statistics group (None: the whole batch) lies on one device, within one part of its share."""
    share = batch_size // mesh.shape[DATA]
    return share % parts == 0 and share // parts % (group or batch_size) == 0


def put_batch(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, Any]:
    """Moves this process's share of a batch onto its devices."""
    sharding = over_batch(mesh)
    return {k: jax.make_array_from_process_local_data(sharding, v) for k, v in batch.items()}


def require_divisible(batch_size: int, mesh: Mesh) -> None:
    """Raises InputError unless the batch divides evenly among the devices of the "data" axis."""
    devices = mesh.shape[DATA]
    if batch_size % devices:
        below, above = batch_size // devices * devices, (batch_size // devices + 1) * devices
        fits = f"{below} or {above}" if below else f"{above}"
        raise InputError(f"batch_size {batch_size}: expected a multiple of the {devices} devices, such as {fits}")

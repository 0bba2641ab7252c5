"""The mesh of devices, and how batch and train state are sharded over it.

The batch is sharded over the mesh's "data" axis. The train state is replicated, or its large arrays are sharded over
the same axis (fully sharded data parallelism); either way the numbers are the same.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from hasnn_jax.common.errors import InputError
from hasnn_jax.training.state import TrainState

DATA = "data"
WHOLE = PartitionSpec()
SMALLEST_SHARDED = 2**12  # elements; a smaller array costs more to gather than sharding it saves


def make_mesh(devices: Any = None) -> Mesh:
    """A mesh with the axes "data" (all devices) and "model" (size 1); by default over every device of every process.

    Devices are sorted by process, so that the consecutive examples that a process reads belong on its own devices.
    """
    devices = sorted(devices or jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.array(devices).reshape(-1, 1), (DATA, "model"), axis_types=(AxisType.Auto,) * 2)


def replicated(mesh: Mesh) -> NamedSharding:
    """A full copy on every device."""
    return NamedSharding(mesh, WHOLE)


def over_batch(mesh: Mesh) -> NamedSharding:
    """The first axis sharded over the devices: a batch."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def by_shape(shape: tuple[int, ...], mesh: Mesh) -> NamedSharding:
    """How full sharding shards an array: along its longest axis that the number of devices divides, the last of equals.

    An array without such an axis, or with fewer than 4,096 elements, is replicated.
    """
    devices = mesh.shape[DATA]
    fitting = [axis for axis, size in enumerate(shape) if size and size % devices == 0]
    if not fitting or np.prod(shape) < SMALLEST_SHARDED:
        return replicated(mesh)
    longest = max(fitting, key=lambda axis: (shape[axis], axis))
    return NamedSharding(mesh, PartitionSpec(*(DATA if axis == longest else None for axis in range(len(shape)))))


def of_state(state: TrainState, mesh: Mesh, *, fully_sharded: bool) -> TrainState:
    """The sharding of every array of a train state, given the arrays or their shapes.

    With `fully_sharded`, parameters, optimizer state and averaged weights are sharded by `by_shape`. The rest is small
    and replicated.
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
    """Gradients of a global batch: every device computes those of its own share, and the results are reduced once.

    Args:
      gradients: (params, batch_stats, batch, mix) -> (gradients, batch_stats, sums); see `steps.gradients`. The mix is
        the same for every device, and may be left out.
      mesh: the devices.
      param_shardings: of the parameters, and so of their gradients.

    Returns:
      the same function of the global batch: gradients and batch_stats are means over the devices, sums are sums. The
      only other communication is the all-gather of sharded parameters.
    """
    if mesh.size == 1:
        return gradients  # XLA would keep a reduction over one device, and all gradients until then

    specs = jax.tree.map(lambda sharding: sharding.spec, param_shardings)

    def of_share(params, batch_stats, batch, *mix):
        means, batch_stats, sums = gradients(params, batch_stats, batch, *mix)
        return jax.tree.map(_mean, means, specs), jax.tree.map(_mean, batch_stats), jax.lax.psum(sums, DATA)

    def of_batch(params, batch_stats, batch, *mix):
        return jax.shard_map(
            of_share,
            mesh=mesh,
            in_specs=(WHOLE, WHOLE, PartitionSpec(DATA), *(WHOLE for _ in mix)),
            out_specs=(specs, WHOLE, WHOLE),
            check_vma=False,  # otherwise differentiation inserts reductions over the devices of its own
        )(params, batch_stats, batch, *mix)

    return of_batch


def _mean(x: jax.Array, spec: PartitionSpec = WHOLE) -> jax.Array:
    """Mean over the devices; each keeps the shard that `spec` gives it."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x  # a count, the same on every device
    if DATA not in spec:
        return jax.lax.pmean(x, DATA)
    total = jax.lax.psum_scatter(x, DATA, scatter_dimension=tuple(spec).index(DATA), tiled=True)
    return total / jax.lax.axis_size(DATA)


def groups_stay_on_devices(group: int | None, batch_size: int, mesh: Mesh, accumulation_steps: int = 1) -> bool:
    """Whether every statistics group (None: the whole batch) is on one device, within one accumulation step."""
    share = batch_size // mesh.shape[DATA]
    return share % accumulation_steps == 0 and share // accumulation_steps % (group or batch_size) == 0


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

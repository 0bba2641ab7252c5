"""What a program is compiled for. Layers choose by it between computations that are equal but for speed.

By default that is JAX's default backend, and a batch that lies on one device. A program for other devices, or for a
batch that is divided among several, is traced through `compile_for`.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh

# User contexts are part of JAX's tracing cache key, so that a function is traced again for another target.
_platform = jax.make_user_context(default_value=None)
_dividing_mesh = jax.make_user_context(default_value=None)


def on_cpu() -> bool:
    """Whether the program is compiled for a CPU."""
    return _current_platform() == "cpu"


def on_gpu() -> bool:
    """Whether the program is compiled for a GPU, present or, as "cuda", only described."""
    return _current_platform() in ("gpu", "cuda", "rocm")


def on_tpu() -> bool:
    """Whether the program is compiled for a TPU."""
    return _current_platform() == "tpu"


def dividing_mesh() -> Mesh | None:
    """The mesh over whose first axis the compiler divides the batch.

    None where the batch is on one device, and in a `compile_for` inside of `jax.shard_map`: a device has its share.
    """
    return _dividing_mesh.value


def batch_is_partitioned() -> bool:
    """Whether the compiler divides the batch among devices; see `dividing_mesh`."""
    return dividing_mesh() is not None


def devices_of_batch() -> int:
    """Among how many devices the compiler divides the batch; see `dividing_mesh`."""
    mesh = dividing_mesh()
    return 1 if mesh is None else mesh.devices.shape[0]


def compile_for(mesh: Mesh, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that calls a model, traced for a batch over the mesh, whose devices need not be present."""
    platform = mesh.devices.flat[0].platform

    def call(*args, **kwargs):
        partitioned = mesh.size > 1 and not jax.sharding.get_abstract_mesh().manual_axes
        with _platform(platform), _dividing_mesh(mesh if partitioned else None):
            return function(*args, **kwargs)

    return call


def for_same_target(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, traced for what the program is compiled for now, also where that is no longer known.

    JAX traces the backward pass after the model has returned, outside of `compile_for`.
    """
    platform, mesh = _platform.value, _dividing_mesh.value

    def call(*args, **kwargs):
        with _platform(platform), _dividing_mesh(mesh):
            return function(*args, **kwargs)

    return call


def _current_platform() -> str:
    return _platform.value or jax.default_backend()

"""The release's PyTorch weights in and out, as NumPy arrays under its own names and in its own layout.

Convolutions are [out, in, height, width] there and [height, width, in, out] here; linear layers [out, in] there
and [in, out] here. The command `hasnn convert` converts files with them.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from hasnn_jax.common.errors import InputError
from hasnn_jax.interop.release_names import release_name, walk
from hasnn_jax.models import Model

_COUNTER = "num_batches_tracked"


def from_state_dict(model: Model, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a model's variables from a state dict of the release.

    Args:
      model: from `create_model`, of the same family, size, classes and paths as the weights.
      state_dict: names to arrays (anything `np.asarray` takes), in the release's layout, any float dtype.
        `num_batches_tracked` may be missing, as in old files, and then counts as 0.

    Returns:
      {"params": ..., "batch_stats": ...} of NumPy arrays in the state dict's dtypes, the counts in int32. Tracked
      value ranges, which the release does not have, are [0, 1], and gains, which it does not have either, are 1.

    Raises:
      InputError: names that are missing, unexpected, of the wrong shape or not of a float dtype, all listed at once; or
        the release does not have the model's family.
    """
    given = {name: np.asarray(array) for name, array in state_dict.items()}
    expected = {path: leaf.shape for path, leaf in walk(_abstract_variables(model, given))}
    names = {path: release_name(model, path[1:]) for path in expected}
    wanted = {name for name in names.values() if name}
    optional = {name for name in wanted if name.endswith(_COUNTER)}

    faults = [f"missing: {name}" for name in sorted(wanted - optional - given.keys())]
    faults += [f"unexpected: {name}" for name in sorted(given.keys() - wanted)]
    dtype = next((a.dtype for a in given.values() if _is_float(a)), np.dtype(np.float32))
    leaves: dict[tuple[str, ...], np.ndarray] = {}
    for path, name in names.items():
        if name is None:
            leaves[path] = np.full(expected[path], 1.0 if path[-1] in ("high", "gain") else 0.0, dtype)
        elif name in given:
            array = _channels_last(given[name])
            faults += _faults(name, array, expected[path])
            leaves[path] = array.astype(np.int32) if name in optional else array
        elif name in optional:
            leaves[path] = np.zeros(expected[path], np.int32)
    if faults:
        raise InputError(
            f"the state dict does not fit this {type(model).__name__} "
            f"({len(faults)} names; check model name, classes and paths):\n  " + "\n  ".join(faults)
        )
    return unflatten_dict(leaves)


def to_state_dict(model: Model, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The inverse of `from_state_dict`: the release's names to NumPy arrays in its layout and order of axes.

    Raises:
      InputError: the release does not have the model's family, or gains other than 1.
    """
    if odd := [path for path, leaf in walk(variables) if path[-1] == "gain" and np.any(np.asarray(leaf) != 1)]:
        raise InputError(
            f"{'/'.join(odd[0][1:])}: the release adds its paths without a learned gain, so that these weights have no "
            "form there; train with config.model.spiking.gain=one to convert them"
        )
    state_dict: dict[str, np.ndarray] = {}
    for path, leaf in walk(variables):
        if name := release_name(model, path[1:]):
            array = np.asarray(leaf)
            state_dict[name] = array.astype(np.int64) if name.endswith(_COUNTER) else _channels_first(array)
    return state_dict


def _faults(name: str, array: np.ndarray, expected: tuple[int, ...]) -> list[str]:
    if array.shape != expected:
        there = _channels_first(np.empty(expected)).shape
        return [f"wrong shape: {name}: expected {there}, got {_channels_first(array).shape}"]
    return [] if _is_float(array) or name.endswith(_COUNTER) else [f"not of a float dtype: {name}: {array.dtype}"]


def _is_float(array: np.ndarray) -> bool:
    return jnp.issubdtype(array.dtype, jnp.floating)  # NumPy alone does not know bfloat16


def _channels_last(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def _channels_first(array: np.ndarray) -> np.ndarray:
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def _abstract_variables(model: Model, state_dict: Mapping[str, np.ndarray]) -> dict[str, Any]:
    seen = [a.shape[1] for name, a in state_dict.items() if a.ndim == 4 and name.startswith(_FIRST)]
    size = 2 ** (getattr(model, "depth", 4) + 1)
    images = jnp.zeros((1, size, size, seen[0] if seen else 3))
    return jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))


_FIRST = ("init_conv.", "dv.0.")  # the modules that see the images

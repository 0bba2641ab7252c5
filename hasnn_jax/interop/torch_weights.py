"""The release's PyTorch weights in and out, as NumPy arrays under its own names and in its own layout.

Convolutions are [out, in, height, width] there and [height, width, in, out] here; linear layers [out, in] there
and [in, out] here. `num_batches_tracked`, which PyTorch keeps and never uses at a fixed momentum, is accepted
and not kept; it is written as 0.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from hasnn_jax.interop.release_names import Model, release_name, walk

_COUNTER = "num_batches_tracked"


def from_state_dict(model: Model, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Makes a model's variables from a state dict of the release.

    Args:
      model: from `create_model`, of the same family, size, classes and paths as the weights.
      state_dict: names to arrays (anything `np.asarray` takes), in the release's layout, any float dtype.

    Returns:
      {"params": ..., "batch_stats": ...} of NumPy arrays in the state dict's dtype. A tracked value range, which
      the release has not, starts at [0, 1].

    Raises:
      ValueError: names that are missing, unexpected or of the wrong shape, all listed at once.
    """
    expected = {path: leaf.shape for path, leaf in walk(_abstract_variables(model, state_dict))}
    names = {path: release_name(model, path[1:]) for path in expected}
    wanted = {name for name in names.values() if name}
    given = {name for name in state_dict if not name.endswith(_COUNTER)}

    faults = [f"missing: {name}" for name in sorted(wanted - given)]
    faults += [f"unexpected: {name}" for name in sorted(given - wanted)]
    dtype = next((np.asarray(a).dtype for name, a in state_dict.items() if name in given), np.float32)
    leaves: dict[tuple[str, ...], np.ndarray] = {}
    for path, name in names.items():
        if name is None:
            leaves[path] = np.asarray(1.0 if path[-1] == "high" else 0.0, dtype)
        elif name in given:
            array = _channels_last(np.asarray(state_dict[name]))
            if array.shape != expected[path]:
                shapes = f"{_channels_first(np.empty(expected[path])).shape}, got {np.shape(state_dict[name])}"
                faults.append(f"wrong shape: {name}: expected {shapes}")
            leaves[path] = array
    if faults:
        raise ValueError(
            f"the state dict does not fit this {type(model).__name__} "
            f"({len(faults)} names; check model name, classes and paths):\n  " + "\n  ".join(faults)
        )
    return unflatten_dict(leaves)


def to_state_dict(model: Model, variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The inverse of `from_state_dict`: the release's names to NumPy arrays in its layout and order of axes."""
    state_dict: dict[str, np.ndarray] = {}
    for path, leaf in walk(variables):
        name = release_name(model, path[1:])
        if name is None:
            continue
        state_dict[name] = _channels_first(np.asarray(leaf))
        if name.endswith("running_var"):
            state_dict[name.replace("running_var", _COUNTER)] = np.asarray(0, np.int64)
    return state_dict


def _channels_last(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def _channels_first(array: np.ndarray) -> np.ndarray:
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def _abstract_variables(model: Model, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    seen = [np.shape(a)[1] for name, a in state_dict.items() if np.ndim(a) == 4 and name.startswith(_FIRST)]
    size = 2 ** (getattr(model, "depth", 4) + 1)
    images = jnp.zeros((1, size, size, seen[0] if seen else 3))
    return jax.eval_shape(lambda: model.init(jax.random.key(0), images, train=False))


_FIRST = ("init_conv.", "dv.0.")  # the modules that see the images

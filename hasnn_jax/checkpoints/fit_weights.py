"""Weights of one model as the variables of another that is equal, but for its classes or its spiking paths."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from hasnn_jax.common.errors import InputError
from hasnn_jax.models import Model

Variables = Mapping[str, Any]
COLLECTIONS = ("params", "batch_stats")
_SPIKING = frozenset({"encoder", "snn", "gain"})  # what a hybrid block has in addition to its ANN path


def fit_weights(
    model: Model,
    expected: Variables,
    weights: Variables,
    *,
    fresh_head: bool = False,
    fresh_spiking: bool = False,
) -> tuple[dict[str, Any], int]:
    """A model's variables with the values of the weights, in the model's dtypes.

    Args:
      model: the model.
      expected: its freshly initialised variables, or their shapes and dtypes.
      weights: for example from `load_weights`.
      fresh_head: keep the freshly initialised output layers, for another set of classes.
      fresh_spiking: keep the freshly initialised spiking paths, whether the weights have some or not.

    Returns:
      (variables, how many tracked value ranges the weights lack; these keep their initial values).

    Raises:
      InputError: names or shapes differ; the first few are listed.
    """
    ours, theirs = (flatten_dict({name: tree[name] for name in COLLECTIONS}) for tree in (expected, weights))
    kept = {path for path in ours if fresh_head and model.output_layers.intersection(path)}
    if fresh_spiking:
        kept |= {path for path in ours if _SPIKING.intersection(path)}
        theirs = {path: array for path, array in theirs.items() if not _SPIKING.intersection(path)}
    ranges = {path for path in ours.keys() - theirs.keys() - kept if _is_range(path)}
    unknown = {path for path in theirs.keys() - ours.keys() if not _is_range(path)}
    odd = [path for path in ours.keys() - kept - ranges if np.shape(theirs.get(path)) != ours[path].shape]
    if faults := sorted({*(path for path in odd), *unknown}):
        named = "; ".join(_fault(path, ours, theirs) for path in faults[:4])
        more = f"; and {len(faults) - 4} more" if len(faults) > 4 else ""
        raise InputError(f"{len(faults)} arrays do not fit: {named}{more}")
    taken = {path: np.asarray(theirs[path]).astype(ours[path].dtype) for path in ours.keys() - kept - ranges}
    return unflatten_dict({**ours, **taken}), len(ranges) // 2


def _is_range(path: tuple[str, ...]) -> bool:
    return path[-2] == "encoder"


def _fault(path, ours, theirs) -> str:
    wanted, got = (tree[path].shape if path in tree else "none" for tree in (ours, theirs))
    return f"{'/'.join(path)}: expected {wanted}, got {got}"

"""Measures what a model does with images: operations of layers, spike rates, dead neurons, sizes of a block's terms."""

import dataclasses
import functools
import math
import statistics
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from hasnn_jax.analysis.layer_calls import has_time_axis, visiting, visiting_blocks, watched_neurons
from hasnn_jax.analysis.operations import count_inputs, effective_operations, over_images
from hasnn_jax.common.errors import InputError
from hasnn_jax.models import Model
from hasnn_jax.models.layers import Encoder
from hasnn_jax.models.quick_jit import quick_jit


@dataclasses.dataclass(frozen=True)
class Operations:
    """Effective operations of one layer, summed over all images; see `hasnn_jax.analysis.operations`.

    Attributes:
      acs, macs: of each time step; the ANN path has one step.
    """

    acs: tuple[int, ...]
    macs: tuple[int, ...]

    @property
    def synaptic(self) -> int:
        """Synaptic operations: ACs and MACs of all steps."""
        return sum(self.acs) + sum(self.macs)


@dataclasses.dataclass(frozen=True)
class Spikes:
    """Spikes of one spiking activation or encoder over all images.

    Attributes:
      size: neurons, or values of the encoder's input: one image's H * W * C.
      rates: for each time step, the share of values other than zero, in [0, 1].
      dead: how many were zero in all time steps of all images.
      saturated: how many were other than zero in all time steps of all images.
    """

    size: int
    rates: tuple[float, ...]
    dead: int
    saturated: int

    @property
    def rate(self) -> float:
        """The mean over the time steps."""
        return sum(self.rates) / len(self.rates)


@dataclasses.dataclass(frozen=True)
class Terms:
    """The two terms of a hybrid block's sum, over all images.

    Attributes:
      ann, snn: root mean square of the ANN path's output, and of what the spiking path adds to it.
    """

    ann: float
    snn: float

    @property
    def share(self) -> float:
        """The spiking path's, in [0, 1]: 0 if it adds nothing, 1/2 if both are of one size."""
        return self.snn / (self.ann + self.snn) if self.snn else 0.0


@dataclasses.dataclass(frozen=True)
class Activity:
    """What was measured.

    Attributes:
      images: how many images.
      layers: operations of each convolution and linear layer, by its name.
      neurons: spikes of each spiking activation, by the name of the convolution or linear layer in front of it.
      encoders: spikes of each encoder, by its name; step t has the plane that `BitPlaneCoding.time_of` maps to t.
      blocks: terms of each block with both paths, by its name. They are rounded differently in batches of other
        sizes, and take no part in comparisons.
        All are in the order in which the model calls them.
    """

    images: int
    layers: dict[str, Operations]
    neurons: dict[str, Spikes]
    encoders: dict[str, Spikes]
    blocks: dict[str, Terms] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def spiking_share(self) -> float | None:
        """The mean of `Terms.share` over the blocks; None if no block has both paths."""
        return statistics.fmean(block.share for block in self.blocks.values()) if self.blocks else None


def measure_activity(model: Model, variables: Mapping[str, Any], batches: Iterable[Array | np.ndarray]) -> Activity:
    """Runs a model in evaluation and counts. Only one batch is in memory at a time; each batch shape is compiled once.

    With the value range "running" or "example" the result does not depend on the batch size. With "batch" the planes
    of an image depend on its batch, as they do in evaluation.

    Args:
      model: from `create_model`.
      variables: its "params" and "batch_stats".
      batches: images [B, H, W, C], floating in [0, 1]; B may differ.

    Raises:
      InputError: there is no image, or images do not fit the model.
    """
    images, totals = 0, None
    for batch in batches:
        if not len(batch):
            continue
        images += len(batch)
        counted = _summed(jax.device_get(_compiled_count()(model, variables, batch)), variables["params"], len(batch))
        totals = counted if totals is None else _added(totals, counted)
    if totals is None:
        raise InputError("no images to measure: expected at least one")
    return Activity(
        images,
        {name: Operations(*map(tuple, counts.T.tolist())) for name, counts in totals["layers"].items()},
        {name: _spikes(counts, images) for name, counts in totals["neurons"].items()},
        {name: _spikes(counts, images) for name, counts in totals["encoders"].items()},
        {name: Terms(*(math.sqrt(mean) for mean in sums / images)) for name, sums in totals["blocks"].items()},
    )


@functools.cache
def _compiled_count():
    return quick_jit(_count, static_argnums=0)


def _count(model, variables, images):
    # A plain dict would come back from `jax.jit` sorted by name.
    found: dict[str, OrderedDict[str, Any]] = {
        kind: OrderedDict() for kind in ("layers", "neurons", "encoders", "blocks")
    }
    latest = ""

    def visit(name, layer, x, y):
        nonlocal latest
        if isinstance(layer, Encoder):
            found["encoders"][name] = over_images(y != 0)
        else:
            latest = name
            found["layers"][name] = count_inputs(layer, x if has_time_axis(layer, x) else x[None])
        return y

    def watch(spikes):
        found["neurons"][latest] = over_images(spikes != 0)

    def compare(name, of_ann_path, output):
        squares = [jnp.square(term.astype(jnp.float32)) for term in (of_ann_path, output - of_ann_path)]
        found["blocks"][name] = jnp.stack([jnp.sum(jnp.mean(x.reshape(len(x), -1), axis=1)) for x in squares])

    with visiting(visit), visiting_blocks(compare):
        watched_neurons(model, watch).apply(variables, images, train=False)
    return found


def _summed(counted, params, images):
    """One batch's counts on the host: operations of its layers, and of spikes what `_spikes` needs."""

    def operations(name, counts):
        layer = functools.reduce(lambda tree, key: tree[key], name.split("/"), params)
        return effective_operations(counts, np.asarray(layer["kernel"]))

    def spikes(_, counts):
        per_step = counts.reshape(len(counts), -1).sum(axis=1, dtype=np.int64)
        return {"per_step": per_step, "ever": np.any(counts, axis=0), "always": np.all(counts == images, axis=0)}

    def squares(_, sums):
        return np.asarray(sums, np.float64)

    kinds = {"layers": operations, "neurons": spikes, "encoders": spikes, "blocks": squares}
    return {kind: OrderedDict((n, change(n, c)) for n, c in counted[kind].items()) for kind, change in kinds.items()}


def _added(totals, counted):
    """The counts of more images: sums, "in some image" and "in every image"."""

    def joined(path, old, new):
        joins = {"ever": np.logical_or, "always": np.logical_and}
        return joins.get(path[-1].key, np.add)(old, new)

    return jax.tree_util.tree_map_with_path(joined, totals, counted)


def _spikes(counts, images) -> Spikes:
    size = counts["ever"].size
    rates = (counts["per_step"] / (size * images)).tolist()
    return Spikes(size, tuple(rates), int(np.sum(~counts["ever"])), int(np.sum(counts["always"])))

"""Everything that is measured about a model, as one value."""

import dataclasses
import functools
import itertools
import operator
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jax import Array

from hasnn_jax.analysis.activity import Activity, measure_activity
from hasnn_jax.analysis.energy import Energy, layer_energy
from hasnn_jax.analysis.layer_costs import PATHS, ModelCost, model_cost
from hasnn_jax.analysis.plane_gradients import PlaneGradients, plane_gradients
from hasnn_jax.common.errors import InputError
from hasnn_jax.models import Model

Batch = tuple[Array | np.ndarray, Array | np.ndarray | None]


@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over layers, for one image.

    Attributes:
      parameters: weights and biases of the layers, without normalisations.
      macs: dense multiply-accumulates, all time steps.
      effective_macs, effective_acs: means over the images; see `hasnn_jax.analysis.operations`.
      energy: estimates, in pJ.
    """

    parameters: int
    macs: int
    effective_macs: float
    effective_acs: float
    energy: Energy


@dataclasses.dataclass(frozen=True)
class Report:
    """Costs, activity, gradients and energy estimates of a model with trained weights.

    Attributes:
      cost: parameters and dense MACs of every layer.
      activity: effective operations and spikes, measured.
      gradients: of every encoder's planes; empty if there were no labels.
      gradient_images: from how many images the gradients are.
    """

    cost: ModelCost
    activity: Activity
    gradients: tuple[PlaneGradients, ...] = ()
    gradient_images: int = 0

    @functools.cached_property
    def energy(self) -> dict[str, Energy]:
        """Estimates for one image by layer name, in pJ."""
        measured = self.activity
        return {
            layer.name: layer_energy(layer, measured.layers[layer.name], measured.images) for layer in self.cost.layers
        }

    def totals(self, path: str | None = None) -> Totals:
        """The sums over the layers of a path ("ann", "snn", or "shared" for those outside), or over all."""
        layers = [layer for layer in self.cost.layers if path in (None, layer.path)]
        counted = [self.activity.layers[layer.name] for layer in layers]
        return Totals(
            parameters=sum(layer.parameters for layer in layers),
            macs=sum(layer.macs for layer in layers),
            effective_macs=sum(sum(each.macs) for each in counted) / self.activity.images,
            effective_acs=sum(sum(each.acs) for each in counted) / self.activity.images,
            energy=functools.reduce(operator.add, (self.energy[layer.name] for layer in layers), Energy()),
        )

    def paths(self) -> tuple[str, ...]:
        """Those of "ann", "snn" and "shared" that have layers."""
        return tuple(path for path in PATHS if any(layer.path == path for layer in self.cost.layers))

    def as_dict(self) -> dict[str, Any]:
        """The report as dicts, lists, numbers and text, for JSON. Counts are for one image, energies in pJ."""
        images = self.activity.images
        layers = {
            layer.name: {
                **{key: value for key, value in dataclasses.asdict(layer).items() if key != "name"},
                "effective_macs": [count / images for count in self.activity.layers[layer.name].macs],
                "effective_acs": [count / images for count in self.activity.layers[layer.name].acs],
                "energy_pj": dataclasses.asdict(self.energy[layer.name]),
            }
            for layer in self.cost.layers
        }
        return {
            "images": images,
            "parameters": self.cost.parameters,
            "totals": {path or "all": _totals_dict(self.totals(path)) for path in (*self.paths(), None)},
            "layers": layers,
            "neurons": {name: _listed(spikes) for name, spikes in self.activity.neurons.items()},
            "encoders": {name: _listed(spikes) for name, spikes in self.activity.encoders.items()},
            "blocks": {name: {**_listed(terms), "share": terms.share} for name, terms in self.activity.blocks.items()},
            "gradient_images": self.gradient_images,
            "gradients": {
                each.name: {key: value for key, value in _listed(each).items() if key != "name"}
                for each in self.gradients
            },
        }


def analyse(model: Model, variables: Mapping[str, Any], batches: Iterable[Batch], gradient_batches: int = 1) -> Report:
    """Measures a model in evaluation.

    Args:
      model: from `create_model`.
      variables: its "params" and "batch_stats".
      batches: (images [B, H, W, C] in [0, 1], labels int [B] or None); all images of one size, B may differ. With the
        value range "batch" (AS_RELEASED) the planes of an image depend on its batch.
      gradient_batches: how many batches, the first ones, the gradients of the planes are measured with; 0 for none.

    Raises:
      InputError: there is no image, an image does not fit the model, or a label is out of range.
    """
    iterator = iter(batches)
    first = list(itertools.islice(iterator, max(1, gradient_batches)))
    if not any(len(images) for images, _ in first):
        raise InputError("no images to measure: expected at least one")
    cost = model_cost(model, first[0][0].shape[1:])
    labelled = [(images, labels) for images, labels in first[:gradient_batches] if labels is not None and len(images)]
    with ThreadPoolExecutor(max_workers=1) as beside:  # both compile a program first, for longer than they compute
        gradients = beside.submit(plane_gradients, model, variables, labelled) if labelled else None
        activity = measure_activity(model, variables, (images for images, _ in itertools.chain(first, iterator)))
    return Report(cost, activity, gradients.result() if gradients else (), sum(len(images) for images, _ in labelled))


def _totals_dict(totals: Totals) -> dict[str, Any]:
    return {("energy_pj" if key == "energy" else key): value for key, value in dataclasses.asdict(totals).items()}


def _listed(value: Any) -> dict[str, Any]:
    """A dataclass as a dict in which tuples are lists, as JSON would give them back."""
    fields = dataclasses.asdict(value)
    return {key: list(field) if isinstance(field, tuple) else field for key, field in fields.items()}

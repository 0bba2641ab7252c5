"""The width at which a pure ANN is as large, or computes as much, as another model of its family."""

import re
from collections.abc import Callable
from typing import Any, Literal

from ml_collections import ConfigDict

from hasnn_jax.analysis.layer_costs import ModelCost, model_cost
from hasnn_jax.assembly.data import build_preprocessing, open_source
from hasnn_jax.assembly.model import build_model
from hasnn_jax.common.errors import InputError
from hasnn_jax.experiments.experiment import configured

Measure = Literal["parameters", "macs"]
_WIDTH = re.compile(r"(?<=_b)\d+")


def matching_ann(config: ConfigDict, measures: tuple[Measure, ...]) -> dict[Measure, str]:
    """The names of ANNs of the configured model's family that come closest to it, by counting.

    Args:
      config: of the model to match, with the paths that it has.
      measures: "parameters" or "macs", dense multiply-accumulates of an image; of both, a name for each.

    Raises:
      InputError: the model's name has no width, or the data cannot be opened.
    """
    name = config.model.name
    if _WIDTH.search(name) is None:
        raise InputError(f"config.model.name: expected a name with a width, as in has8_resnet10_b16; got {name!r}")
    shape = build_preprocessing(config.data).image_shape(open_source(config.data).train[0])

    def cost(overrides: dict[str, Any]) -> ModelCost:
        changed = configured(config, overrides, "ANN")
        return model_cost(build_model(changed.model, changed.data.num_classes), shape)

    def wide(width: int) -> str:
        return _WIDTH.sub(str(width), name, count=1)

    def width_for(measure: Measure) -> int:
        def count(width: int) -> int:
            return _value(cost({"model.name": wide(width), "model.paths": ("ann",)}), measure)

        return closest(count, _value(target, measure), start)

    target, start = cost({}), int(_WIDTH.findall(name)[0])
    return {measure: wide(width_for(measure)) for measure in measures}


def closest(count: Callable[[int], int], target: int, start: int) -> int:
    """The whole number of `start` or more whose count is closest to the target.

    Args:
      count: grows with its argument.
      target: what to come close to.
      start: where to begin, 1 or more.
    """
    low = high = start
    while count(high) < target:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < target else (low, middle)
    return low if target - count(low) <= count(high) - target else high


def _value(cost: ModelCost, measure: Measure) -> int:
    return cost.parameters if measure == "parameters" else cost.macs()

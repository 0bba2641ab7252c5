"""The release's state-dict files to weights for training, and back."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from hasnn_jax.checkpoints.weights import load_weights, save_weights
from hasnn_jax.common.errors import InputError
from hasnn_jax.interop import torch_weights
from hasnn_jax.interop.release_names import require_released_family, walk
from hasnn_jax.interop.state_dict_files import read_state_dict, write_state_dict
from hasnn_jax.models import AS_RELEASED, Model, create_model


@dataclasses.dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
      model: name of the model that the weights belong to.
      parameters: how many numbers it trains.
      arrays: how many arrays were written to a state-dict file; 0 for a folder.
      ranges: how many tracked value ranges were left out, which a state dict does not have.
    """

    model: str
    parameters: int
    arrays: int = 0
    ranges: int = 0


def to_checkpoint(file: pathlib.Path, output: pathlib.Path, settings: Mapping[str, Any]) -> Converted:
    """Converts a state-dict file to a folder of weights for `config.model.init_from`.

    Args:
      file: see `read_state_dict`.
      output: the folder, which does not exist yet.
      settings: "name", "num_classes", "stem" and "paths" of the model, "image_size" of its images, and "classes", class
        names or None.

    Raises:
      InputError: the file cannot be read or does not fit the model, the release does not have the model's family, or
        the folder exists.
    """
    if settings["name"] is None or settings["num_classes"] is None:
        raise InputError("--model and --num_classes: expected, because a state dict does not say what it belongs to")
    model = _model(settings)
    classes = settings.get("classes")
    if classes is not None and len(classes) != settings["num_classes"]:
        raise InputError(f"class names: expected {settings['num_classes']}, got {len(classes)}")
    if output.exists():
        raise InputError(f"{output}: exists already; remove it, or choose another name")
    variables = torch_weights.from_state_dict(model, read_state_dict(file))
    save_weights(output, variables, settings)
    return Converted(settings["name"], _count_parameters(variables))


def to_state_dict_file(
    weights: pathlib.Path, output: pathlib.Path, name: str | None = None, num_classes: int | None = None
) -> Converted:
    """Converts weights to a file that holds a state dict with the release's names.

    Args:
      weights: a run's workdir, one of its checkpoints, or a folder of converted weights.
      output: the file, which does not exist yet.
      name, num_classes: of the model, where the weights do not say.

    Raises:
      InputError: there are no such weights, they belong to another model or to a family that the release does not have,
        or the file exists.
    """
    variables, settings = load_weights(weights)
    for key, given in (("name", name), ("num_classes", num_classes)):
        if given is not None and settings.setdefault(key, given) != given:
            raise InputError(f"{weights}: holds weights with {key} {settings[key]!r}, not {given!r}")
    state_dict = torch_weights.to_state_dict(_model(settings), variables)
    write_state_dict(output, state_dict)
    ranges = sum(path[-2:] == ("encoder", "low") for path, _ in walk(variables["batch_stats"]))
    return Converted(settings["name"], _count_parameters(variables), len(state_dict), ranges)


def _model(settings: Mapping[str, Any]) -> Model:
    # Both formats hold the variables of the release's spec, which has no tracked value ranges.
    model = create_model(
        settings["name"],
        settings["num_classes"],
        paths=tuple(settings["paths"]),
        stem=settings["stem"],
        spiking=AS_RELEASED,
    )
    require_released_family(model)
    return model


def _count_parameters(variables: Mapping[str, Any]) -> int:
    return sum(np.size(leaf) for leaf in jax.tree.leaves(variables["params"]))

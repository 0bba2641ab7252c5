"""Converts the release's weights for `train.py`, and back: `python -m hasnn_jax.interop.torch_weights --help`."""

import argparse
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from hasnn_jax.errors import InputError
from hasnn_jax.interop import torch_weights
from hasnn_jax.interop.release_names import Model, walk
from hasnn_jax.interop.state_dict_files import is_state_dict_file, read_state_dict, write_state_dict
from hasnn_jax.interop.weights import load_weights, save_weights
from hasnn_jax.models import AS_RELEASED, create_model

BOTH = ("ann", "snn")
FILES = "a .pt, .pth or .safetensors"
_EXAMPLES = """\
  %(prog)s weights.pth converted --model has8_resnet_b32_m2_d4 --num_classes 100
  %(prog)s runs/cifar100 weights.safetensors
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; ends the program with one line where something is wrong."""
    options = _parser().parse_args(arguments)
    try:
        if is_state_dict_file(options.output):
            to_file(options.weights, options.output, options.model, options.num_classes)
        else:
            settings = {
                "name": options.model,
                "num_classes": options.num_classes,
                "stem": options.stem,
                "paths": options.paths,
            }
            to_checkpoint(options.weights, options.output, settings)
    except (InputError, OSError) as error:
        sys.exit(f"torch_weights: {error}")


def to_checkpoint(file: pathlib.Path, output: pathlib.Path, settings: Mapping[str, Any]) -> None:
    """A state dict's file -> a folder of weights for `config.model.init_from`."""
    if settings["name"] is None or settings["num_classes"] is None:
        raise InputError("--model and --num_classes: expected, for a state dict does not say what it belongs to")
    model = _model(settings)
    if output.exists():
        raise InputError(f"{output}: exists already; remove it, or choose another name")
    variables = torch_weights.from_state_dict(model, read_state_dict(file))
    save_weights(output, variables, settings)
    print(
        f"{output}: {_parameters(variables):,} parameters of {settings['name']}, {settings['num_classes']} classes\n"
        f"evaluate:  python train.py --evaluate --config CONFIG {_overrides(output, settings)}\n"
        f"fine-tune: python train.py --config CONFIG {_overrides(output, settings)}\n"
        "for another set of classes, fine-tune with --config.model.init_head=fresh"
    )


def to_file(weights: pathlib.Path, output: pathlib.Path, name: str | None, num_classes: int | None) -> None:
    """A run's workdir or a folder of weights -> a state dict's file with the release's names."""
    variables, settings = load_weights(weights)
    for key, given in (("name", name), ("num_classes", num_classes)):
        if given is not None and settings.setdefault(key, given) != given:
            raise InputError(f"{weights}: holds weights with {key} {settings[key]!r}, not {given!r}")
    model = _model(settings)
    state_dict = torch_weights.to_state_dict(model, variables)
    write_state_dict(output, state_dict)
    print(f"{output}: {len(state_dict)} arrays, {_parameters(variables):,} parameters of {settings['name']}")
    if ranges := sum(path[-2:] == ("encoder", "low") for path, _ in walk(variables["batch_stats"])):
        print(f"left out: {ranges} tracked value ranges, for which the release's format has no place")


def _model(settings: Mapping[str, Any]) -> Model:
    # The release's spec: its variables, without tracked value ranges, are what both formats have in common.
    return create_model(
        settings["name"],
        settings["num_classes"],
        paths=tuple(settings["paths"]),
        stem=settings["stem"],
        spiking=AS_RELEASED,
    )


def _parameters(variables: Mapping[str, Any]) -> int:
    return sum(np.size(leaf) for leaf in jax.tree.leaves(variables["params"]))


def _overrides(weights: pathlib.Path, settings: Mapping[str, Any]) -> str:
    paths = "" if tuple(settings["paths"]) == BOTH else f'--config.model.paths="{tuple(settings["paths"])!r}" '
    stem = "" if settings["stem"] == "imagenet" else f"--config.model.stem={settings['stem']} "
    return (
        f"--config.model.name={settings['name']} {paths}{stem}"
        f"--config.model.spiking.spec=as_released --config.model.init_from={weights}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hasnn_jax.interop.torch_weights",
        description="Converts a state dict with the release's names into weights for train.py, and back.",
        epilog="examples:\n" + _EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("weights", type=pathlib.Path, help=f"{FILES} file; or a run's workdir or converted weights")
    parser.add_argument("output", type=pathlib.Path, help=f"folder to make; or, for the way back, {FILES} file to make")
    parser.add_argument("--model", help="such as has8_resnet_b32_m2_d4; known already on the way back")
    parser.add_argument("--num_classes", type=int, help="known already on the way back")
    parser.add_argument("--stem", default="imagenet", choices=["imagenet", "small"], help="default: %(default)s")
    parser.add_argument("--paths", nargs="+", default=BOTH, choices=BOTH, help="default: %(default)s")
    return parser

"""`hasnn convert`: the release's PyTorch weights to weights for training, and back."""

import argparse
import pathlib
from collections.abc import Mapping
from typing import Any

from hasnn_jax.commands.command import Command, Options
from hasnn_jax.commands.run_options import read_class_names
from hasnn_jax.common.errors import InputError

PATHS = ("ann", "snn")
FILES = "a .pt, .pth or .safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares them."""
    parser.add_argument("weights", type=pathlib.Path, help=f"{FILES} file; or a run's workdir or converted weights")
    parser.add_argument("output", type=pathlib.Path, help=f"folder to create; or, for the way back, {FILES} file")
    parser.add_argument("--model", metavar="NAME", help="such as has8_resnet_b32_m2_d4; not needed for the way back")
    parser.add_argument("--num_classes", type=int, metavar="N", help="not needed for the way back")
    parser.add_argument("--stem", default="imagenet", choices=["imagenet", "small"], help="default: %(default)s")
    parser.add_argument(
        "--image_size", type=int, default=224, metavar="PIXELS", help="of the model's images; default: %(default)s"
    )
    parser.add_argument("--classes", type=pathlib.Path, metavar="FILE", help="class names to store, one a line")
    parser.add_argument("--paths", nargs="+", default=PATHS, choices=PATHS, help="default: ann snn")


def run(options: Options) -> None:
    """Converts, and prints what came of it and what to do with it."""
    from hasnn_jax.interop.convert import to_checkpoint, to_state_dict_file
    from hasnn_jax.interop.state_dict_files import is_state_dict_file

    try:
        if is_state_dict_file(options.output):
            written = to_state_dict_file(options.weights, options.output, options.model, options.num_classes)
            print(f"{options.output}: {written.arrays} arrays, {written.parameters:,} parameters of {written.model}")
            if written.ranges:
                print(f"left out: {written.ranges} tracked value ranges, which the release's format does not have")
            return
        settings = {
            "name": options.model,
            "num_classes": options.num_classes,
            "stem": options.stem,
            "paths": options.paths,
            "image_size": options.image_size,
            "classes": None if options.classes is None else read_class_names(options.classes),
        }
        written = to_checkpoint(options.weights, options.output, settings)
        print(f"{options.output}: {written.parameters:,} parameters of {written.model}, {options.num_classes} classes")
        print(_next_steps(options.output, settings))
    except OSError as error:
        raise InputError(str(error)) from None


def _next_steps(weights: pathlib.Path, settings: Mapping[str, Any]) -> str:
    paths = "" if tuple(settings["paths"]) == PATHS else f'--config.model.paths="{tuple(settings["paths"])!r}" '
    stem = "" if settings["stem"] == "imagenet" else f"--config.model.stem={settings['stem']} "
    overrides = (
        f"--config.model.name={settings['name']} {paths}{stem}"
        f"--config.model.spiking.spec=as_released --config.model.init_from={weights}"
    )
    return (
        f"evaluate:  hasnn evaluate --config CONFIG {overrides}\n"
        f"fine-tune: hasnn train --config CONFIG {overrides}\n"
        "to fine-tune for other classes, add --config.model.init_head=fresh"
    )


COMMAND = Command(
    summary="convert the release's PyTorch weights for training, and back",
    description="Converts a state dict with the release's names into weights for hasnn train and evaluate, and back.",
    examples=(
        "hasnn convert weights.pth converted --model has8_resnet_b32_m2_d4 --num_classes 100",
        "hasnn convert runs/cifar100 weights.safetensors",
    ),
    add_arguments=add_arguments,
    run=run,
)

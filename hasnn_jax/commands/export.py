"""`hasnn export`: a trained model as one file that runs without this package."""

import argparse
import pathlib

from hasnn_jax.commands import run_options
from hasnn_jax.commands.command import Command, Options
from hasnn_jax.common.console import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares them."""
    run_options.add_weights(parser)
    parser.add_argument("output", type=pathlib.Path, metavar="OUT.stablehlo", help="file to create")


def run(options: Options) -> None:
    """Writes the file, and prints how to use it."""
    from hasnn_jax.inference.exporting import PLATFORMS, export_model
    from hasnn_jax.inference.loaded_model import BATCH_WIDE

    model = run_options.load_model(options)
    if model.depends_on_batch:
        say(BATCH_WIDE)
    size = export_model(model, options.output)
    shape = ", ".join(map(str, model.image_shape))
    print(f"{options.output}: {model.name} for {', '.join(PLATFORMS)}, {size / 1e6:.1f} MB")
    print(f"images uint8 [any, {shape}] -> probabilities float32 [any, {model.model.num_classes}]:")
    print(f'  jax.export.deserialize(open("{options.output}", "rb").read()).call(images)')


COMMAND = Command(
    summary="write a trained model to a file that runs without this package",
    description="Writes StableHLO, serialised by jax.export: one file for CPU, CUDA and TPU, any batch size, weights "
    "included.",
    examples=("hasnn export runs/digits digits.stablehlo",),
    add_arguments=add_arguments,
    run=run,
)

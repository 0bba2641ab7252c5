"""`hasnn analyse`: what a trained model computes and costs."""

import argparse
import json
import pathlib

from hasnn_jax.commands import run_options
from hasnn_jax.commands.command import Command, Options
from hasnn_jax.common.console import Waiting, say
from hasnn_jax.common.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares them."""
    run_options.add_weights(parser)
    parser.add_argument(
        "pictures",
        nargs="*",
        metavar="IMAGE",
        help="image files, folders of them, or -; by default images of the run's test split, which have labels, with "
        "which gradients are measured too",
    )
    parser.add_argument(
        "--images", type=int, default=64, metavar="N", help="how many images at most; default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print everything as a JSON object")
    parser.add_argument("--picture", type=pathlib.Path, metavar="OUT.png", help="draw the report")


def run(options: Options) -> None:
    """Measures, and prints the report."""
    from hasnn_jax.analysis.report import analyse
    from hasnn_jax.analysis.report_text import describe
    from hasnn_jax.inference.loaded_model import BATCH_WIDE
    from hasnn_jax.inference.pictures import find_pictures
    from hasnn_jax.inference.sample_images import picture_batches, sample_batches

    if options.images < 1:
        raise InputError(f"--images: expected 1 or more, got {options.images}")
    if options.picture is not None:
        run_options.require_new_file(options.picture)
    names = find_pictures(options.pictures)[: options.images]
    model = run_options.load_model(options)
    if names:
        count, batches = len(names), picture_batches(model, names)
    else:
        count, batches = sample_batches(model, options.weights, options.images)
    if model.depends_on_batch:
        say(BATCH_WIDE)
    with Waiting(f"measuring {count:,} images"):
        report = analyse(model.model, model.variables, batches)
    print(json.dumps(report.as_dict()) if options.json else describe(report))
    if options.picture is not None:
        _draw(report, f"{model.name}, {count:,} images", options.picture)


def _draw(report, title: str, picture: pathlib.Path) -> None:
    from hasnn_jax.analysis.report_plot import plot_report
    from hasnn_jax.common.files import replacing

    with replacing(picture) as temporary:
        plot_report(report, title).savefig(temporary, dpi=130, format="png")
    say(f"drawn in {picture}")


COMMAND = Command(
    summary="operations, spikes, gradients and energy of a trained model",
    description="Counts parameters and multiply-accumulates, and measures with images what the spikes make of them: "
    "effective operations, spike rates, dead neurons, gradients of the planes, and estimates of energy.",
    examples=(
        "hasnn analyse runs/digits --picture cost.png",
        "hasnn analyse converted ~/pictures --json",
    ),
    add_arguments=add_arguments,
    run=run,
)

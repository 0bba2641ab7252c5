"""`hasnn train`: trains a classifier, or resumes its training."""

import argparse

from hasnn_jax.commands import evaluate, run_options
from hasnn_jax.commands.command import Command, Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares them."""
    run_options.add_arguments(parser)
    parser.add_argument("--evaluate", action="store_true", help="only evaluate: the same as hasnn evaluate")


def run(options: Options) -> None:
    """Trains; the run logs to stderr and to its workdir."""
    if options.evaluate:
        evaluate.run(options)
        return
    workdir = run_options.start(options)
    from hasnn_jax.runs.train import train_and_evaluate

    train_and_evaluate(options.config, workdir, keep_programs_in=run_options.kept_programs())


COMMAND = Command(
    summary="train a classifier, or resume its training",
    description="Trains a HAS-8 classifier. Ctrl-C saves a checkpoint; the same command resumes from there.",
    examples=(
        "hasnn train",
        "hasnn train --config configs/imagenet.py --config.data.data_dir=/data --workdir runs/imagenet",
    ),
    add_arguments=add_arguments,
    run=run,
    reads_config=True,
    default_config="digits.py",
)

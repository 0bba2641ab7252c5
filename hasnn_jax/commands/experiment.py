"""`hasnn experiment`: trains the variants of an experiment, and reports what they show."""

import argparse
import functools
import pathlib

from hasnn_jax.commands import run_options
from hasnn_jax.commands.command import Command, Options
from hasnn_jax.common.console import say
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.host_memory import keep_freed_memory
from hasnn_jax.common.lookup import look_up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares them."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="which experiment; without it, they are listed")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="how many: config.seed and those after it; 3 by default, 2 with --short"
    )
    parser.add_argument("--workdir", metavar="DIR", help="by default runs/<experiment>_<name of the config file>")
    parser.add_argument("--variants", metavar="A,B", help="only these, and what else was run there in the report")
    parser.add_argument("--part", metavar="I/N", help="only the I-th of N parts of the runs, for several processes")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="processes that share the runs, each on its own cores of the CPU",
    )
    parser.add_argument("--short", action="store_true", help="a narrow model for few epochs, to see that all works")
    parser.add_argument("--report", action="store_true", help="train nothing; report what is there")
    parser.add_argument(
        "--publish", type=pathlib.Path, metavar="DIR", help="train nothing; copy report and small files"
    )
    parser.add_argument("--keep_checkpoints", action="store_true", help="of complete runs; they are deleted otherwise")


def run(options: Options) -> None:
    """Trains what is missing and writes the report."""
    from hasnn_jax.experiments.catalogue import EXPERIMENTS

    if options.name is None:
        width = max(map(len, EXPERIMENTS))
        print("\n".join(f"{name:{width}}   {each.question}" for name, each in EXPERIMENTS.items()))
        return
    from hasnn_jax.experiments.claims import read_claim
    from hasnn_jax.experiments.plan import parse_part
    from hasnn_jax.experiments.report import publish, write_report

    experiment = look_up("experiment", options.name, EXPERIMENTS)
    part = parse_part(options.part)
    if options.seeds is not None and options.seeds < 1:
        raise InputError(f"--seeds: expected 1 or more; got {options.seeds}")
    short = "_short" if options.short else ""
    name = f"{experiment.name}_{options.config_file.stem}{short}"
    root = pathlib.Path(options.workdir or pathlib.Path("runs") / name).expanduser().absolute()
    if root.is_file():
        raise InputError(f"workdir {root}: is a file; name a folder by --workdir")
    if options.publish is not None and options.publish.exists():
        raise InputError(f"--publish {options.publish}: exists already; name a new folder")
    if options.report or options.publish is not None:
        read_claim(root, experiment.name)
    elif not _train(experiment, options, part, root):
        return
    say(f"report: {write_report(root)}")
    if options.publish is not None:
        publish(root, options.publish)
        say(f"published: {options.publish}")


def _train(experiment, options: Options, part: tuple[int, int], root: pathlib.Path) -> bool:
    """Does this process's runs; False if it was asked to stop."""
    from hasnn_jax.experiments.claims import claim
    from hasnn_jax.experiments.experiment import base_config, chosen
    from hasnn_jax.experiments.jobs import Jobs
    from hasnn_jax.experiments.plan import part_of, plan_runs, require_valid
    from hasnn_jax.experiments.runner import do_runs

    keep_freed_memory()
    run_options.keep_compiled()
    base = base_config(options.config, short=options.short)
    variants = experiment.variants(base)
    names = options.variants.split(",") if options.variants else [variant.name for variant in variants]
    asked = chosen(experiment.name, variants, names)
    seeds = [base.seed + i for i in range(options.seeds or (2 if options.short else 3))]
    runs = plan_runs(base, asked, seeds, root)
    with Jobs(options.jobs) as jobs:
        require_valid(runs)
        claim(root, experiment, base, variants, asked, seeds, short=options.short)
        jobs.start(["experiment", *options.argv, "--jobs", "1"], root)
        mine = part_of(runs, *part, variants=len(asked))
        do = functools.partial(
            do_runs,
            mine,
            keep_checkpoints=options.keep_checkpoints,
            jobs=options.jobs,
            keep_programs_in=run_options.kept_programs(),
        )
        done = do()
        if done and jobs.wait():
            done = do()  # what another has left, if one has ended early
    return done


COMMAND = Command(
    summary="train variants that answer a question, and report",
    description="Trains all variants of an experiment with the same seeds and batches, and writes a report: a table, "
    "curves, and what the numbers say. What is complete is not run again; a killed experiment is resumed by the same "
    "command. Several processes share the runs by --part, one on each device or host.",
    examples=(
        "hasnn experiment",
        "hasnn experiment rescaling --jobs 2",
        "hasnn experiment planes --config configs/cifar10_small.py --seeds 5 --part 2/8 --workdir runs/planes",
    ),
    add_arguments=add_arguments,
    run=run,
    reads_config=True,
    default_config="digits_as_described.py",
    if_interrupted="the same command resumes",
)

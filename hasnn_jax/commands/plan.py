"""`hasnn plan --config FILE --topology v5e:16x16`: what training would cost on TPUs or GPUs, without one."""

import argparse
import functools
import json
import signal

from hasnn_jax.commands.command import Command, Options
from hasnn_jax.common.errors import InputError

CACHE = "~/.cache/hasnn_jax/plans"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "--topology",
        metavar="FAMILY:SIZE",
        help="the TPU slice, such as v5e:16x16; or GPUs of one machine, such as h100:8; or local, for the devices of "
        "this machine and no estimate of time",
    )
    parser.add_argument("--find_batch", action="store_true", help="find the largest batch that fits")
    parser.add_argument(
        "--profile",
        action="store_true",
        help="print the cost by block, path and direction, and the costliest kernels",
    )
    parser.add_argument(
        "--examples", type=int, metavar="N", help="number of training examples (default: as many as the data has)"
    )
    parser.add_argument(
        "--cache_dir",
        default=CACHE,
        metavar="DIR",
        help="folder in which compilations are cached (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def run(options: Options) -> None:
    """Plans, and prints the plan as text or as JSON."""
    # Python handles signals between its own instructions, so Ctrl-C would have no effect until XLA has compiled, which
    # takes minutes. With the default action the operating system ends the process at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    # These are slow to import.
    from hasnn_jax.planning.devices import LOCAL, compile_only, find_target, known_topologies
    from hasnn_jax.planning.find_batch import find_batch
    from hasnn_jax.planning.one_batch import plan
    from hasnn_jax.planning.plan_text import describe
    from hasnn_jax.planning.plan_values import plain_values

    if options.topology is None:
        raise InputError(f"--topology is missing; {known_topologies()}")
    if options.examples is not None and options.examples < 1:
        raise InputError(f"--examples: expected a whole number, 1 or more; got {options.examples}")
    if options.topology != LOCAL:
        compile_only(options.topology)
    target = find_target(options.topology)
    plan_config = functools.partial(plan, target=target, examples=options.examples, cache=options.cache_dir)
    if options.find_batch:
        found = find_batch(plan_config, options.config, target, examples=options.examples)
    else:
        found = plan_config(options.config)
    if options.json:
        print(json.dumps(plain_values(found, options.profile), indent=2))
    else:
        print(describe(found, options.profile))


COMMAND = Command(
    summary="memory, cost and time of training on TPUs or GPUs, without one",
    description=(
        "Compiles the training step for a TPU slice or GPUs that need not be present, which takes minutes. Says "
        "whether the step fits into memory and what it costs; for TPUs, how long it and the training take by the "
        "compiler's own estimate; for GPUs, how long a step takes at least. Compilations are cached until the "
        "settings, the code or the compiler change. That a step does not fit is a result, not an error: the exit "
        "status is 0."
    ),
    examples=(
        "hasnn plan --config configs/imagenet.py --topology v5e:16x16",
        "hasnn plan --config configs/imagenet_pod.py --topology v5e:2x4 --find_batch",
        "hasnn plan --config configs/imagenet_pod.py --topology v5e:2x4 --config.batch_size=128 --json",
        "hasnn plan --config configs/imagenet.py --topology h100:8 --profile",
    ),
    add_arguments=add_arguments,
    run=run,
    reads_config=True,
)

"""What `hasnn train` and `hasnn evaluate` share: the workdir, several processes, and compiled programs kept on disk."""

import argparse
import os
import pathlib

from hasnn_jax.commands.command import Options

COMPILED = "~/.cache/hasnn_jax"  # JAX_COMPILATION_CACHE_DIR names another place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares them."""
    parser.add_argument("--workdir", metavar="DIR", help="folder of the run; by default runs/<name of the config file>")
    several = parser.add_argument_group(
        "several processes", "SLURM, Open MPI 4 and TPU pods are recognised; elsewhere each process is told:"
    )
    several.add_argument("--coordinator", metavar="HOST:PORT", help="of process 0")
    several.add_argument("--process_count", type=int, metavar="N", help="how many processes train together")
    several.add_argument("--process_index", type=int, metavar="I", help="which of them this is, from 0")


def start(options: Options) -> pathlib.Path:
    """Connects the processes and sets JAX's compilation cache up; returns the workdir."""
    import jax

    from hasnn_jax.training import processes

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(COMPILED).expanduser()))
    processes.start(options.coordinator, options.process_count, options.process_index)
    return pathlib.Path(options.workdir or pathlib.Path("runs") / options.config_file.stem)

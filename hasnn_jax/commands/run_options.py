"""What commands that run models share: the workdir or weights, several processes, compiled programs kept on disk."""

import argparse
import os
import pathlib
from typing import TYPE_CHECKING

from hasnn_jax.commands.command import Options
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.fingerprints import script_digest
from hasnn_jax.common.host_memory import keep_freed_memory

if TYPE_CHECKING:
    from hasnn_jax.inference.loaded_model import LoadedModel

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
    """Connects the processes, and sets memory and JAX's compilation cache up; returns the workdir."""
    from hasnn_jax.training import processes

    keep_freed_memory()
    keep_compiled()
    processes.start(options.coordinator, options.process_count, options.process_index)
    return pathlib.Path(options.workdir or pathlib.Path("runs") / options.config_file.stem)


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Declares the weights of a trained model, and what older or converted ones do not say."""
    parser.add_argument(
        "weights",
        type=pathlib.Path,
        metavar="WEIGHTS",
        help="a run's workdir, one of its checkpoints (WORKDIR/checkpoints/STEP), or converted weights",
    )
    parser.add_argument(
        "--classes", type=pathlib.Path, metavar="FILE", help="class names, one a line, for weights that have none"
    )
    parser.add_argument(
        "--image_size", type=int, metavar="PIXELS", help="resize images to that; by default what the weights say"
    )


def load_model(options: Options) -> "LoadedModel":
    """Loads the weights that `add_weights` declares."""
    from hasnn_jax.inference.loading import load

    keep_compiled()
    classes = None if options.classes is None else read_class_names(options.classes)
    return load(options.weights, classes=classes, image_size=options.image_size)


def read_class_names(file: pathlib.Path) -> list[str]:
    """The lines of a file of class names, without empty ones at the end.

    Raises:
      InputError: it cannot be read as text, or an empty line stands between names.
    """
    try:
        names = [line.strip() for line in file.read_text(encoding="utf-8").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--classes {file}: cannot be read ({error})") from None
    if "" in names or not names:
        raise InputError(
            f"--classes {file}: expected a class name on each line; line {names.index('') + 1 if names else 1} is empty"
        )
    return names


def require_new_file(file: pathlib.Path) -> None:
    """Raises InputError if something exists at that path, or its folder does not."""
    if file.exists():
        raise InputError(f"{file}: exists already; remove it, or choose another name")
    if not file.absolute().parent.is_dir():
        raise InputError(f"{file}: its folder does not exist; make it first")


def keep_compiled() -> None:
    """Sets JAX's compilation cache up."""
    import jax

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(COMPILED).expanduser()))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)  # a start has several of below a second


def kept_programs() -> pathlib.Path | None:
    """The folder of programs that need not be traced either, in JAX's cache.

    None where that is off or no folder, or where commands are called by code without a file, such as a notebook's: that
    may have changed what is traced.
    """
    import jax

    cache = jax.config.values["jax_compilation_cache_dir"]
    if not jax.config.values["jax_enable_compilation_cache"] or not cache or "://" in cache or script_digest() is None:
        return None
    return pathlib.Path(cache) / "programs"

"""A config file and overrides of single settings, from a command line to a config."""

import contextlib
import pathlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hasnn_jax.common.errors import InputError
from hasnn_jax.config import OVERRIDE, override_fault

if TYPE_CHECKING:
    from ml_collections import ConfigDict

_OVERRIDE = re.compile(r"--(no)?config\..+", re.DOTALL)  # --noconfig.KEY sets False
SHIPPED = pathlib.Path(__file__).parents[2] / "configs"  # in a checkout of the project


def read_config(
    file: str | None, default: str | None, overrides: Sequence[str], *, example: str
) -> "tuple[ConfigDict, pathlib.Path]":
    """The config of a command line.

    Args:
      file: given by --config; a text after ":" is handed to the file's `get_config`.
      default: name of the project's config file that is read where none is given; None: there is no default.
      overrides: the arguments that are left: `--config.KEY=VALUE`, `--config.KEY VALUE`.
      example: a command line to name where --config is missing.

    Returns:
      (the config, its file).

    Raises:
      InputError: no such file, an unknown key, a value of the wrong type, or another argument among the overrides.
    """
    from absl import flags
    from ml_collections import config_flags

    if file is None:
        if default is None or not (SHIPPED / default).is_file():
            raise InputError(f"--config is missing, as in: {example}")
        file = str(SHIPPED / default)
    path = pathlib.Path(file.partition(":")[0])
    if not path.is_file():
        shipped = ", ".join(sorted(f"configs/{found.name}" for found in SHIPPED.glob("*.py")))
        raise InputError(f"no config file {file}" + (f"; the project has {shipped}" if shipped else ""))
    if fault := override_fault(overrides):
        raise fault
    valued, unset = without_nones(overrides)
    values = flags.FlagValues()  # not absl's global ones, which belong to a program of absl's
    argv = ["hasnn", f"--config={file}", *valued]
    holder = config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    try:
        with _neighbours_importable(path):
            rest = values(argv)
    except flags.Error as error:
        raise InputError(str(error)) from None
    if len(rest) > 1:
        raise InputError(f"unexpected argument {rest[1]!r}; settings are given as --config.KEY=VALUE")
    config = holder.value
    config.update_from_flattened_dict(dict.fromkeys(unset))
    return config, path


def two_dashes(argument: str) -> str:
    """The argument, with --config for -config, which people who know absl's flags may type."""
    return f"-{argument}" if argument.startswith("-config") else argument


def is_override(argument: str) -> bool:
    """Whether an argument sets a single setting; its value may follow as the next argument."""
    return _OVERRIDE.fullmatch(argument) is not None


@contextlib.contextmanager
def _neighbours_importable(file: pathlib.Path) -> Iterator[None]:
    """Lets a config file import those beside it by the name of their folder: `from configs import cifar10`."""
    folder = str(file.resolve().parents[1])
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def without_nones(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Takes `--config.KEY=None` out of a command line, which ml_collections reads as a number or a text.

    Returns:
      (the other arguments, the keys that are None). Of several overrides of a key the last one counts.
    """
    overrides = [match for match in map(OVERRIDE.fullmatch, argv) if match]
    last = {match[1]: match[2] for match in overrides}
    nones = [key for key, value in last.items() if value == "None"]
    dropped = {match[0] for match in overrides if match[1] in nones or match[2] == "None"}
    return [argument for argument in argv if argument not in dropped], nones

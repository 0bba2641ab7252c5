"""Command lines that take a config file and overrides: what is wrong with one is said in one line."""

import pathlib
import sys
from collections.abc import Callable, Sequence

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from hasnn_jax.config import override_fault, without_nones
from hasnn_jax.errors import InputError


def config_fault(argv: Sequence[str], missing: str | None = None, known: str = "") -> InputError | None:
    """What is wrong with a command line's config file or its overrides; None if nothing is.

    To be asked before absl reads the command line: its config flags end in a traceback on either.

    Args:
      argv: the command line, with the program at its head.
      missing: the error for a command line without --config; None where there is a default.
      known: what to say of the config files that there are.
    """
    if "--help" in argv:
        return None
    files = [
        value if equals else following
        for argument, following in zip(argv, [*argv[1:], ""], strict=True)
        for flag, equals, value in [argument.partition("=")]
        if flag in ("--config", "-config")
    ]
    if missing and not files:
        return InputError(missing)
    if files and not pathlib.Path(files[-1].partition(":")[0]).is_file():
        return InputError(f"no config file {files[-1]}{known}")
    return override_fault(argv)


def define_config(argv: Sequence[str], default: str | None = None) -> tuple[list[str], Callable[[], ConfigDict]]:
    """Defines the flag --config and its overrides, to be asked for before `absl.app.run`.

    Args:
      argv: the command line, with the program at its head.
      default: the config file of a command line without --config.

    Returns:
      (the command line for `absl.app.run`, a function that gives the config once that has parsed it).
    """
    parsed, nones = without_nones(argv)
    holder = config_flags.DEFINE_config_file("config", default, "what to train on what", sys_argv=parsed)

    def config() -> ConfigDict:
        holder.value.update_from_flattened_dict(dict.fromkeys(nones))
        return holder.value

    return parsed, config


def flags_parser(program: str) -> Callable[[list[str]], list[str]]:
    """A parser for `absl.app.run`, which ends the program in one line on a fault."""

    def parse(argv: list[str]) -> list[str]:
        try:
            return app.parse_flags_with_usage(argv) if "--help" in argv else flags.FLAGS(argv)
        except flags.Error as error:
            sys.exit(f"{program}: {error}")

    return parse

"""Command lines that take a config file and overrides: what is wrong with one is said in one line."""

import pathlib
import sys
from collections.abc import Callable, Sequence

from absl import app, flags

from hasnn_jax.config import unknown_override
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
    return unknown_override(argv)


def flags_parser(program: str) -> Callable[[list[str]], list[str]]:
    """A parser for `absl.app.run`, which ends the program in one line on a fault."""

    def parse(argv: list[str]) -> list[str]:
        try:
            return app.parse_flags_with_usage(argv) if "--help" in argv else flags.FLAGS(argv)
        except flags.Error as error:
            sys.exit(f"{program}: {error}")

    return parse

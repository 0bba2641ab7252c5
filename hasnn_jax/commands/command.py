"""What all commands share: --help, a config with overrides, errors in one line, and Ctrl-C."""

import argparse
import dataclasses
import signal
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import NoReturn

from hasnn_jax.commands.config_overrides import is_override, read_config, two_dashes
from hasnn_jax.common.console import say
from hasnn_jax.common.errors import InputError
from hasnn_jax.common.lookup import unknown_name

Options = argparse.Namespace


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of `hasnn`.

    Attributes:
      summary: what it does, for the list of commands; less than a line.
      description: the same at length, for --help.
      examples: command lines that --help ends with.
      add_arguments: declares the arguments.
      run: does the work and prints the result on stdout; bad input raises InputError.
      reads_config: whether it takes --config FILE and --config.KEY=VALUE; `run` finds the result in `options.config`,
        the file in `options.config_file`, and what was typed in `options.argv`.
      default_config: the project's config file that it reads without --config; None: --config is required.
      if_interrupted: what to tell the person after Ctrl-C.
    """

    summary: str
    description: str
    examples: tuple[str, ...]
    add_arguments: Callable[[argparse.ArgumentParser], object]
    run: Callable[[Options], object]
    reads_config: bool = False
    default_config: str | None = None
    if_interrupted: str = ""


class _Parser(argparse.ArgumentParser):
    """Raises InputError where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see --help")

    def flags(self) -> list[str]:
        """The names of all options."""
        return [name for action in self._actions for name in action.option_strings]


def run_command(name: str, command: Command, argv: Sequence[str]) -> None:
    """Runs a command; bad input and Ctrl-C end the program with one line on stderr.

    Args:
      name: by which it was called.
      command: what to run.
      argv: its arguments.
    """
    program = f"hasnn {name}"
    try:
        options = parse(program, command, argv)
        _set_logging(options.verbose)
        command.run(options)
    except InputError as error:
        sys.exit(f"{program}: {error}")
    except KeyboardInterrupt:
        say(f"{program}: interrupted" + (f"; {command.if_interrupted}" if command.if_interrupted else ""))
        # End at once by the signal itself: shutting JAX down in the middle of a compilation may crash.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)


def parse(program: str, command: Command, argv: Sequence[str]) -> Options:
    """The arguments of a command, with its config if it reads one; --help prints and exits with status 0.

    Raises:
      InputError: an argument is unknown, missing or not valid.
    """
    parser = _Parser(
        prog=program,
        description=textwrap.fill(command.description, 100),
        epilog="\n  ".join(["examples:", *command.examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if command.reads_config:
        _add_config(parser, command.default_config)
    command.add_arguments(parser)
    parser.add_argument("--verbose", action="store_true", help="show what JAX and Orbax log")
    if not command.reads_config:
        return parser.parse_args(argv)
    options, rest = parser.parse_known_args([two_dashes(argument) for argument in argv])
    options.argv = list(argv)
    for argument in rest:
        if argument.startswith("-") and not is_override(argument):
            raise unknown_name("option", argument.partition("=")[0], parser.flags())
    example = next(example for example in command.examples if "--config " in example)
    options.config, options.config_file = read_config(
        options.config_file, command.default_config, rest, example=example
    )
    return options


def _add_config(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument(
        "--config",
        dest="config_file",
        metavar="FILE",
        help="what to train on which data" + (f"; by default the project's configs/{default}" if default else ""),
    )
    parser.add_argument(
        "--config.KEY",
        dest="overrides",
        metavar="VALUE",
        help="replaces one setting, such as --config.optim.learning_rate=3e-4; all are listed in hasnn_jax/config.py",
    )


def _set_logging(verbose: bool) -> None:
    if not verbose:
        from absl import logging

        logging.set_verbosity(logging.FATAL)

"""`hasnn` and `python -m hasnn_jax`: calls the command that the first argument names; without one, lists them."""

import sys
from collections.abc import Sequence

from hasnn_jax import __version__
from hasnn_jax.commands import analyse, convert, evaluate, experiment, export, plan, predict, prepare, train
from hasnn_jax.commands.command import run_command
from hasnn_jax.common.lookup import unknown_name

COMMANDS = {
    "train": train.COMMAND,
    "evaluate": evaluate.COMMAND,
    "predict": predict.COMMAND,
    "analyse": analyse.COMMAND,
    "export": export.COMMAND,
    "prepare": prepare.COMMAND,
    "convert": convert.COMMAND,
    "plan": plan.COMMAND,
    "experiment": experiment.COMMAND,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(overview())
    elif name == "--version":
        print(f"hasnn_jax {__version__}")
    elif name in COMMANDS:
        run_command(name, COMMANDS[name], rest)
    else:
        sys.exit(f"hasnn: {unknown_name('command', name, COMMANDS)}")


def overview() -> str:
    """The commands, a line each."""
    width = max(map(len, COMMANDS))
    return "\n".join([
        "usage: hasnn COMMAND [arguments]",
        "",
        *(f"  {name:{width}}   {command.summary}" for name, command in COMMANDS.items()),
        "",
        "hasnn COMMAND --help tells more, for example: hasnn train --help",
    ])  # fmt: skip

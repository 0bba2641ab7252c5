"""`hasnn experiment tiny` as a person types it, in this process."""

import tiny_experiment

from hasnn_jax.commands.main import main


def typed(monkeypatch, capsys, *options, name="tiny"):
    """The message with which it ends (None: success), its standard output and standard error."""
    tiny_experiment.install(monkeypatch.setitem, monkeypatch.setattr)
    message = None
    try:
        main(["experiment", *((name,) if name else ()), *tiny_experiment.OPTIONS, *map(str, options)])
    except SystemExit as stop:
        message = stop.code
    return message, *capsys.readouterr()

"""A command as a person types it."""

from hasnn_jax.commands.main import main


def typed(*arguments, capsys):
    """The message with which `hasnn ARGUMENTS` ends (None: success), its standard output and standard error."""
    message = None
    try:
        main(list(map(str, arguments)))
    except SystemExit as stop:
        message = stop.code
    return message, *capsys.readouterr()

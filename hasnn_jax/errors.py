"""The error that a person can mend: said in one line, without a traceback, by the command line."""


class InputError(ValueError):
    """Bad input: names the value, what was expected, and how to mend it."""

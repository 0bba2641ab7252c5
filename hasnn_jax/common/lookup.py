"""Names in configs and commands become objects here; the error for an unknown one suggests the nearest valid name."""

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hasnn_jax.common.errors import InputError


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> InputError:
    """The error for a name that is none of the valid ones; it lists them and suggests the nearest."""
    valid = sorted(valid)
    near = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return InputError(f"unknown {kind} {name!r}: expected one of {', '.join(valid)}{hint}")


def look_up(kind: str, name: str, table: Mapping[str, Any]) -> Any:
    """The table's entry of that name.

    Raises:
      InputError: there is none; the message lists the valid names and the nearest one.
    """
    if name not in table:
        raise unknown_name(kind, name, table)
    return table[name]


def build(kind: str, text: str, table: Mapping[str, Any]) -> Any:
    """Builds what a text such as "lif" or "sigsine(alpha=-5)" describes: calls the table's entry of that name.

    Raises:
      InputError: the name is not in the table, the text is neither a name nor a call with literal keyword arguments, or
        the entry refuses the arguments.
    """
    name, _, rest = text.partition("(")
    try:
        # The name itself may be a Python keyword ("if"), so only the arguments are parsed.
        call = ast.parse(f"_({rest}" if rest else "_()", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError
        arguments = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError):
        raise InputError(f"{kind} {text!r}: expected a name, or a name with arguments as in 'name(key=1)'") from None
    entry = look_up(kind, name.strip(), table)
    try:
        return entry(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"{kind} {text!r}: {error}") from None


def call_with(function: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    """Calls a function with those of the settings that it has a parameter for, by name."""
    return function(**{name: settings[name] for name in inspect.signature(function).parameters if name in settings})

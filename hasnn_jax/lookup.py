"""Names from the outside world become objects here; an unknown one is answered with the nearest valid name."""

import ast
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from hasnn_jax.errors import InputError


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> InputError:
    """The error for a name that is none of the valid ones; it suggests the nearest."""
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
    """Builds what a text such as "lif" or "sigsine(alpha=-5)" names: the table's entry, called.

    Raises:
      InputError: the name is not in the table, the text is no name or call with plain keyword values, or
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

"""Reading with Orbax without the noise that a failed read leaves behind."""

import gc
import sys
import warnings
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def read_quietly(read: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """Calls a function that reads a checkpoint with Orbax.

    Orbax reads all arrays concurrently, on an event loop that it closes when one read fails. The other reads are then
    dropped, or find the loop closed later. Each of them raises where nobody can catch it, and Python prints it. From a
    failure on, these messages, and no others, are suppressed.

    Returns:
      (what `read` returns, None), or (None, the exception, without its traceback).
    """
    previous_hook = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        error = unraisable.exc_value
        loop_closed = isinstance(error, RuntimeError) and str(error) == "Event loop is closed"
        read_dropped = error is not None and isinstance(error.__cause__, GeneratorExit)
        if not (loop_closed or read_dropped):
            previous_hook(unraisable)

    sys.unraisablehook = hook
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sharding info not provided", UserWarning)  # its file is missing
            result = read()
    except Exception as error:  # a damaged checkpoint raises errors of many kinds
        failure = error
    else:
        sys.unraisablehook = previous_hook
        return result, None
    failure.__cause__ = failure.__context__ = failure.__traceback__ = None  # they refer to the dropped reads
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        gc.collect()
    return None, failure

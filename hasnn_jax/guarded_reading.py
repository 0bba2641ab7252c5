"""Reading checkpoints that may be damaged: one reason where that fails, no noise about what the failure left behind."""

import gc
import sys
import textwrap
import warnings
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LONGEST_REASON = 160  # TensorStore's have no line breaks, and end in its whole configuration


def read_guarded(read: Callable[[], T]) -> tuple[T | None, str | None]:
    """Reads a checkpoint by Orbax.

    Orbax reads all arrays at once, on an event loop that it closes when one read fails. The others are dropped in their
    midst, or find the loop closed at some later time; each complains where nobody can catch it, and Python prints it.

    Returns:
      (what `read` returns, None), or (None, the reason why it fails).
    """
    before = sys.unraisablehook

    def hear(what: "sys.UnraisableHookArgs") -> None:
        error = what.exc_value
        loop_closed = isinstance(error, RuntimeError) and str(error) == "Event loop is closed"
        read_dropped = error is not None and isinstance(error.__cause__, GeneratorExit)
        if not (loop_closed or read_dropped):
            before(what)

    sys.unraisablehook = hear
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sharding info not provided", UserWarning)  # the file with it is gone
            found = read()
    except Exception as error:  # a damaged checkpoint provokes errors of many kinds
        line = (str(error) or type(error).__name__).splitlines()[0]
        reason = textwrap.shorten(line, LONGEST_REASON, placeholder=" ...")
    else:
        sys.unraisablehook = before
        return found, None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        gc.collect()  # what was dropped ends here
    return None, reason

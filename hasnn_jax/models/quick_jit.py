"""`jax.jit` of what runs so seldom that compiling it takes longer than running it."""

import os
from collections.abc import Callable
from typing import Any

import jax

# XLA's CPU backend spends most of the time that the random numbers of an initialisation take to compile on LLVM's
# passes beyond the first level: 65 s instead of 13.5 for a hybrid MobileNetV2 of width 0.35. Training steps ran as fast
# at level 1 as at the default, and at level 0 two to four times slower. Other platforms are left as they are.
LEVEL = "xla_backend_optimization_level"
_OPTIONS = {"cpu": {LEVEL: 1}}


def quick_jit(function: Callable[..., Any], **kwargs: Any) -> Any:
    """`jax.jit` with fewer optimisations by the compiler, on platforms where that was measured to pay.

    A level that XLA_FLAGS sets is left alone. The result cannot be called inside of another `jax.jit`, and it must not
    be made when a module is imported: it asks JAX for its default backend, and processes that train together have to
    be connected before that.

    Args:
      function: to be compiled.
      **kwargs: of `jax.jit`.
    """
    return jax.jit(function, compiler_options=quick_options(), **kwargs)


def quick_options() -> dict[str, Any] | None:
    """The options of the compiler that `quick_jit` sets."""
    if LEVEL in os.environ.get("XLA_FLAGS", ""):
        return None
    return _OPTIONS.get(jax.default_backend())

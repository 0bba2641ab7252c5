"""Whether XLA's compiler for GPUs is installed."""

import pytest

from hasnn_jax.common.machine import version
from hasnn_jax.planning.compilation import GPU_COMPILERS

# cuDNN, the other part of the compiler, comes with PyTorch, too, and alone compiles nothing.
needs_gpu_compiler = pytest.mark.skipif(
    not any(version(name) for name in GPU_COMPILERS if name.startswith("jax")),
    reason="the GPU compiler is not installed: pip install -e '.[cuda]'",
)

"""What XLA is told about a training step besides the program."""

import os
from typing import Any

from jax.sharding import Mesh

# The memory on a TPU's chip, in KiB, that one kernel may take for the windows of its operands. A kernel is unrolled
# over its windows, so that larger ones take longer to compile. Planned for v5e with 10.5 MiB instead of 16, a step of
# HAS-8-ResNet[b32-m2-d4] compiles in about three quarters of the time and takes 2 % more cycles. With 9 MiB, a copy for
# the stem does not compile where a device has 32 images; it needs 10.
WINDOWS = "xla_tpu_scoped_vmem_limit_kib"


def of_step(mesh: Mesh) -> dict[str, Any] | None:
    """The compiler's options for a training step over the mesh, whose devices need not be present; see `jax.jit`.

    What LIBTPU_INIT_ARGS sets is left alone.
    """
    if mesh.devices.flat[0].platform != "tpu" or WINDOWS in os.environ.get("LIBTPU_INIT_ARGS", ""):
        return None
    return {WINDOWS: 10_752}

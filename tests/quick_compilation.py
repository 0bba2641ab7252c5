"""XLA's flags that the tests run under on the CPU: programs of tiny models take far longer to compile than to run.

Only the generated code is plainer. XLA's own passes, which decide what is computed, stay as they are. An XLA_FLAGS that
is set is left alone, an empty one too: `XLA_FLAGS= pytest` runs the tests with the code that users get.
"""

import importlib.metadata
import os

FLAGS = "--xla_backend_optimization_level=0"
if tuple(map(int, importlib.metadata.version("jax").split(".")[:2])) < (0, 11):
    FLAGS += " --xla_cpu_use_fusion_emitters=false"  # newer versions do not know it, and are quicker without


def begin() -> None:
    """For this process and those that it starts; before JAX computes anything."""
    os.environ.setdefault("XLA_FLAGS", FLAGS)


def with_devices(count: int) -> str:
    """The flags for a process with so many virtual devices."""
    return f"{os.environ.get('XLA_FLAGS', FLAGS)} --xla_force_host_platform_device_count={count}"

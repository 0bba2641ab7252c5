"""What every test runs under: float64 on request, and no silent broadcasting between ranks."""

import os
import pathlib
import tempfile

import jax
import numpy as np
import pytest
import quick_compilation

jax.config.update("jax_numpy_rank_promotion", "raise")
quick_compilation.begin()
# What one test has compiled, the next need not, in whichever process it runs; forgotten when the session ends.
if "PYTEST_XDIST_WORKER" not in os.environ:  # its processes inherit the place
    _compiled = tempfile.TemporaryDirectory(prefix="hasnn_jax_tests_")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _compiled.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"  # most tests compile many small programs
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

GOLDEN = pathlib.Path(__file__).parent / "golden"


def pytest_collection_modifyitems(items):
    """Slow files begin first, so that at the end no process is left alone with one."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def x64():
    """Float64 arithmetic for the test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def golden():
    """Loads one file of golden numbers: `golden("neurons")["x"]`. Their origin is in tests/golden/README.md."""

    def load(name):
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
            return {key: file[key] for key in file.files}

    return load

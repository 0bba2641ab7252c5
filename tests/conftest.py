"""What every test runs under: float64 on request, and no silent broadcasting between ranks."""

import pathlib
import tempfile

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
# What one test has compiled, the next need not; forgotten when the session ends.
_compiled = tempfile.TemporaryDirectory(prefix="hasnn_jax_tests_")
jax.config.update("jax_compilation_cache_dir", _compiled.name)

GOLDEN = pathlib.Path(__file__).parent / "golden"


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

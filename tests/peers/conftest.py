"""Fixtures for tests against PyTorch, SpikingJelly and the PyTorch twin. Tests are skipped if these are missing."""

import contextlib
import importlib
import pathlib
import sys
import warnings

import pytest

ROOT = pathlib.Path(__file__).parents[2]

# On import, SpikingJelly compiles functions with torch.jit.script, which newer PyTorch versions deprecate.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "`torch.jit.script`", DeprecationWarning)
    with contextlib.suppress(ImportError):
        from spikingjelly.activation_based import functional, layer, neuron  # noqa: F401


@pytest.fixture(autouse=True)
def one_torch_thread():
    """One thread is enough for small networks; on a busy machine several threads wait for each other."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def torch_twin():
    """The module `benchmarks/torch_twin.py`: the twin's networks."""
    return import_benchmark("torch_twin")


@pytest.fixture(scope="session")
def torch_twin_coding():
    """The module `benchmarks/torch_twin_coding.py`: the twin's bit-plane coding."""
    return import_benchmark("torch_twin_coding")


def import_benchmark(name):
    """Imports a module of `benchmarks/`; skips the test if its libraries are missing."""
    pytest.importorskip("torch")
    pytest.importorskip("spikingjelly")
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))

"""The peers: PyTorch and SpikingJelly, and the PyTorch twin built on them. Tests skip where they are missing."""

import contextlib
import importlib
import pathlib
import sys
import warnings

import pytest

ROOT = pathlib.Path(__file__).parents[2]

# SpikingJelly compiles functions by torch.jit.script on import, which newer PyTorch deprecates.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "`torch.jit.script`", DeprecationWarning)
    with contextlib.suppress(ImportError):
        from spikingjelly.activation_based import functional, layer, neuron  # noqa: F401


@pytest.fixture(autouse=True)
def one_torch_thread():
    """The networks are small, and PyTorch's threads wait for each other on a busy machine."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def torch_twin():
    """The module `benchmarks/torch_twin.py`."""
    pytest.importorskip("torch")
    pytest.importorskip("spikingjelly")
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("torch_twin")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))

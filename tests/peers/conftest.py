"""The peers: PyTorch and SpikingJelly, and the PyTorch twin built on them. Tests skip where they are missing."""

import contextlib
import importlib
import json
import pathlib
import sys
import warnings
import zlib

import numpy as np
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


@pytest.fixture
def golden_parameters():
    """The parameters behind a golden file, from the names and shapes in `NAME.names.json`."""

    def load(name):
        shapes = json.loads((ROOT / "tests" / "golden" / f"{name}.names.json").read_text())
        return draw_parameters(shapes)

    return load


@pytest.fixture
def random_parameters():
    """Draws parameters that keep every layer active, given {name: shape}; the golden files' recipe."""
    return draw_parameters


def draw_parameters(shapes):
    return {
        name: _draw(np.random.default_rng(zlib.crc32(name.encode())), name, shape) for name, shape in shapes.items()
    }


def _draw(rng, name, shape):
    if name.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape)
    if name.endswith("running_mean"):
        return rng.normal(0, 0.1, shape)
    if len(shape) >= 2:
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)
    if name.endswith("weight"):
        return rng.uniform(0.8, 1.2, shape)
    return rng.normal(0, 0.05, shape)

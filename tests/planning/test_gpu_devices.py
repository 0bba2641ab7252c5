"""GPUs to compile for: their number, their memory, and the compiler, which need not be installed."""

import subprocess
import sys

import pytest
from gpu_compiler import needs_gpu_compiler

from hasnn_jax.common.errors import InputError
from hasnn_jax.planning import gpu_devices
from hasnn_jax.planning.devices import find_target
from hasnn_jax.planning.gpu_devices import memory_limit, read_count
from hasnn_jax.planning.gpus import GPUS


def test_number_of_gpus_is_that_of_a_machine():
    assert [read_count(f"h100:{count}") for count in (1, 8)] == [1, 8]


@pytest.mark.parametrize("topology", ["h100", "h100:", "h100:0", "h100:9", "h100:2x4", "h100:-1", "h100:four"])
def test_other_numbers_of_gpus_are_refused_without_the_compiler(topology):
    with pytest.raises(InputError, match=r"expected the number of GPUs in a machine, 1 to 8, as in h100:1 or h100:8$"):
        find_target(topology)


def test_error_for_missing_compiler_says_how_to_install_it(monkeypatch):
    def no_plugin(**_):
        raise NotImplementedError("topology not implemented for cuda")

    monkeypatch.setattr(gpu_devices.topologies, "get_topology_desc", no_plugin)
    with pytest.raises(InputError, match=r"pip install -e '\.\[cuda\]' .* pip install 'hasnn_jax\[cuda\]'") as raised:
        find_target("h100:8")
    assert "\n" not in str(raised.value)


def test_error_for_a_refused_description_names_the_gpu(monkeypatch):
    def refuse(**_):
        raise ValueError("INVALID_ARGUMENT: no such field\nat line 3")

    monkeypatch.setattr(gpu_devices.topologies, "get_topology_desc", refuse)
    with pytest.raises(InputError, match=r"does not know NVIDIA B200: INVALID_ARGUMENT: no such field$"):
        find_target("b200:1")


def test_memory_is_what_jax_allocates(monkeypatch):
    for name in ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"):
        monkeypatch.delenv(name, raising=False)
    h100 = GPUS["h100"]
    assert memory_limit(h100) == pytest.approx(0.75 * 79.1 * 2**30, rel=0.01)
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.5")
    assert memory_limit(h100) == 0.5 * h100.reported
    monkeypatch.setenv("XLA_CLIENT_MEM_FRACTION", "0.9")
    assert memory_limit(h100) == 0.9 * h100.reported
    monkeypatch.setenv("XLA_CLIENT_MEM_FRACTION", "most")
    with pytest.raises(InputError, match=r"XLA_CLIENT_MEM_FRACTION: expected a share .* got 'most'"):
        memory_limit(h100)


@needs_gpu_compiler
def test_compiler_knows_every_gpu():
    # In a process of its own: JAX asks a GPU's compiler for a GPU if its first computation is not yet set to the CPU.
    program = """
from hasnn_jax.planning.devices import compile_only, find_target
from hasnn_jax.planning.gpus import GPUS

compile_only("h100:2")
for family, gpu in GPUS.items():
    target = find_target(f"{family}:2")
    assert (target.devices, target.kind, target.chip) == (2, gpu.name, gpu)
    assert {device.platform for device in target.mesh.devices.flat} == {"gpu"}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

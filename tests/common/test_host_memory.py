"""Freed memory is kept: the same block is allocated again without a fault for each of its pages."""

import os
import platform
import subprocess
import sys

import pytest

from hasnn_jax.common.host_memory import keep_freed_memory

BLOCK = 48 * 2**20  # bytes: more than glibc keeps by itself, less than what it can keep for a thread
PAGES = BLOCK // 4096
PROGRAM = f"""
import ctypes, resource, threading
from hasnn_jax.common.host_memory import keep_freed_memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


def use():
    block = libc.malloc({BLOCK})
    ctypes.memset(block, 1, {BLOCK})
    libc.free(block)


def count_faults():
    use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    use()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


faults = []
kept = keep_freed_memory()
count_faults()
thread = threading.Thread(target=count_faults)
thread.start()
thread.join()
print(int(kept), *faults)
"""

needs_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting")


def faults_of(**environment: str) -> tuple[int, int, int]:
    """(whether memory is kept, page faults of a second use of a block in the main thread, the same in another)."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=True)
    kept, main, other = map(int, done.stdout.split())
    return kept, main, other


@needs_glibc
def test_a_block_is_met_once_in_every_thread():
    kept, *faults = faults_of()
    assert kept
    assert max(faults) < PAGES / 10


@needs_glibc
@pytest.mark.parametrize(
    "environment", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"}]
)
def test_settings_of_the_environment_stay(environment):
    kept, *faults = faults_of(**environment)
    assert not kept
    assert min(faults) >= PAGES


def test_other_c_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()

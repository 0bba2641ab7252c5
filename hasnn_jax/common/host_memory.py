"""Memory of the process, of which the C library would return more to the system than pays."""

import ctypes
import os
import platform

# Of glibc's `mallopt`; the names of the same settings in the environment.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_IN_ENVIRONMENT = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
_LARGEST = 2**31 - 1  # bytes, and the largest that it takes


def keep_freed_memory() -> bool:
    """Lets the C library keep memory that was freed, up to 2 GiB, for the next allocation.

    On a CPU, XLA allocates the temporary memory of a step at its start and frees it at its end. By default glibc gives
    blocks from 32 MB on back to the system at once, and the next step meets every page of them for the first time
    again: a fifth of the time of the digits' training step on two cores. Threads other than the main one still
    return blocks above 64 MB, unless they are told to share its memory (MALLOC_ARENA_MAX=1).

    Returns:
      Whether it is so now. False where the C library is not glibc or an older one that has less room, and where the
      environment has settings of its own, which stay.
    """
    if platform.libc_ver()[0] != "glibc" or any(os.environ.get(name) for name in _IN_ENVIRONMENT):
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(_M_MMAP_THRESHOLD, _LARGEST), mallopt(_M_TRIM_THRESHOLD, _LARGEST)])

"""Resident memory of this process, in MiB, and giving it back."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path


def now() -> int:
    """What is resident now; where the platform does not tell, the largest so far."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _page() // 2**20
    except (OSError, IndexError, ValueError):
        return peak()


def peak() -> int:
    """The largest that was ever resident; 0 where the platform does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest // 2**20 if sys.platform == "darwin" else largest // 2**10


def trim() -> None:
    """Give what is freed back to the system, where the C library can: compilers leave a heap full of holes."""
    with contextlib.suppress(OSError, TypeError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def _page() -> int:
    import resource

    return resource.getpagesize()

"""What a process asks of the machine that it runs on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from ssl_bench.machine import keep_freed_memory
print(keep_freed_memory())
def fill():
    np.ones(2**26, dtype=np.uint8)
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 10 * 2**26 // 4096
"""What ten arrays of 64 MiB take anew from a kernel with small pages."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_used_again() -> None:
    """Arrays of 64 MiB lie where the ones before them lay; the kernel clears no page for them."""
    assert faults({}) == (True, pytest.approx(0, abs=PAGES / 100))


def test_whoever_has_chosen_keeps_the_choice() -> None:
    """Variables that speak to glibc's allocator stand."""
    kept, again = faults({"MALLOC_MMAP_THRESHOLD_": str(2**20), "NUMPY_MADVISE_HUGEPAGE": "0"})
    assert not kept
    assert again >= PAGES / 20


def faults(environment: dict[str, str]) -> tuple[bool, int]:
    """Return whether a process keeps what it frees, and the page faults of what it then does."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], env=clean | environment, capture_output=True, text=True, check=True
    )
    kept, count = done.stdout.split()
    return kept == "True", int(count)

"""What a run needs of the machine: a device, folders that it can write, room; what is lacking is said in one line."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

from ssl_bench.errors import MissingError, UsageError, is_out_of_memory
from ssl_bench.files import check_writable
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""glibc's names of what `mallopt` sets (malloc.h)."""
KEPT_BYTES = 2**30
"""Blocks of up to so many bytes come from memory that was used before."""


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what the machine lacks (disk, permission, memory) into one line; our own mistakes pass through."""
    try:
        yield
    except OSError as error:
        raise MissingError(f"{error.filename or 'input or output'}: {error.strerror or error}") from error
    except MemoryError as error:
        raise MissingError("out of memory; a smaller --batch-size or --limit needs less") from error
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise MissingError(
            f"out of device memory; use a smaller --batch-size ({str(error).splitlines()[0]})"
        ) from error


def choose_device(device: str) -> str:
    """Return the torch device for a setting; raise UsageError where it does not exist."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device}: {str(error).splitlines()[0]}") from error
    return device


def preflight(settings: Settings) -> None:
    """Raise MissingError, before anything is computed, where results or cache cannot be written."""
    Results(settings.results).check_writable()
    check_writable(settings.cache, "the cache")


def keep_freed_memory() -> bool:
    """Have this process keep memory that it frees, up to 2 GiB, for what it allocates next; return whether it does.

    By default glibc hands every block of more than 32 MiB back to the kernel, which then clears each page again for the
    next activation of the same size: `benchmarks/memory_kept.py` prints what that costs on the CPU. Whoever sets
    MALLOC_ variables or GLIBC_TUNABLES has chosen, and other C libraries are left as they are.
    """
    chosen = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if chosen or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_THRESHOLD, KEPT_BYTES) and mallopt(TRIM_THRESHOLD, 2 * KEPT_BYTES - 1))

"""How many threads share the products of a solver: a small one is done before others have woken up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

SMALL = 1e7
"""Operations of a product below which one thread is left alone with it. Beside other processes, sharing out products of
3e6 operations took 12 times as long; on a quiet machine two threads take a third off products of 3e7."""


@contextlib.contextmanager
def enough_for(operations: float) -> Iterator[None]:
    """Let products of so many operations run on one thread if they are small, else on as many as torch has."""
    import torch

    threads = torch.get_num_threads()
    if operations >= SMALL or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

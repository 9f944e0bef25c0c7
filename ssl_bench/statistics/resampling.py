"""Bootstrap resamples as counts: how often each sample is drawn, so that a resampled mean is a matrix product.

Samples with equal rows are one cell, and how often n draws hit each cell is multinomial: exactly the bootstrap over
samples, at the cost of the cells. Ten models that are right or wrong have far fewer patterns than a test set samples.
Where every row is its own cell, counts are drawn as independent Poisson(1) variables (Hanley and MacGibbon 2006), of
which a weighted mean divides by the sum.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MOST_CELLS = 4096
"""Beyond it Poisson counts are cheaper than multinomial ones."""
BLOCK = 1 << 24
"""Counts that are held at once."""


def resampled_means(
    columns: NDArray[Any], resamples: int = 1000, *, seed: int = 0, clusters: NDArray[Any] | None = None
) -> Floats:
    """Return the means of `columns` (samples, k) in each resample, (resamples, k); all columns share every resample.

    With `clusters` (samples,), whole clusters are drawn, as where frames of one video are not independent samples.
    """
    values = np.asarray(columns, dtype=np.float64).reshape(len(columns), -1)
    if clusters is None:
        rows = np.column_stack([values, np.ones(len(values))])
    else:
        _, places = np.unique(clusters, return_inverse=True)
        sums = [np.bincount(places, column) for column in values.T]
        rows = np.column_stack([*sums, np.bincount(places)])
    totals = _resampled_sums(rows, resamples, np.random.default_rng(seed))
    means: Floats = totals[:, :-1] / totals[:, -1:]
    return means


def _resampled_sums(rows: Floats, resamples: int, generator: np.random.Generator) -> Floats:
    cells, sizes = np.unique(rows, axis=0, return_counts=True)
    if len(cells) <= MOST_CELLS:
        return resampled_cells(sizes, resamples, generator) @ cells
    blocks = poisson_counts(len(rows), resamples, generator)
    return np.concatenate([block @ rows.astype(np.float32) for block in blocks]).astype(np.float64)


def resampled_cells(sizes: NDArray[Any], resamples: int, generator: np.random.Generator) -> Floats:
    """Return how many samples fall into each cell in each resample, (resamples, cells), given the cells' `sizes`."""
    total = int(np.sum(sizes))
    shares = np.asarray(sizes, dtype=np.float64) / total
    return generator.multinomial(total, shares / shares.sum(), size=resamples).astype(np.float64)


def poisson_counts(n: int, resamples: int, generator: np.random.Generator) -> Iterator[NDArray[np.float32]]:
    """Give blocks (some resamples, n) of Poisson(1) counts, read from a table by 16 random bits each.

    The table's largest count, 8, stands for all above; its probabilities are off by at most 2⁻¹⁶.
    """
    block = max(1, BLOCK // n)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        bits = np.frombuffer(generator.bytes(2 * rows * n), dtype=np.uint16)
        yield _poisson_table()[bits].reshape(rows, n)


@functools.cache
def _poisson_table() -> NDArray[np.float32]:
    """Return the count for each value of 16 bits."""
    below = np.cumsum([math.exp(-1) / math.factorial(count) for count in range(9)])
    ends = np.round(below / below[-1] * (1 << 16)).astype(np.int64)
    return np.repeat(np.arange(9), np.diff(ends, prepend=0)).astype(np.float32)

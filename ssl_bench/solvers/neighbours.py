"""Exact nearest neighbours of every query in a bank, in float64 and in one order on every machine.

    cosine       s(q, b) = q·b / (‖q‖ ‖b‖), and 0 where either is the zero vector
    euclidean    s(q, b) = −½ ‖q − b‖², which on vectors of length 1 is the cosine less one

Neighbours are ordered by falling s, equal ones by rising index. Similarities count as equal when they round to the same
multiple of 2⁻³⁶ of the largest possible: the last bits of a sum depend on its order, and would decide between copies of
one image. Rounded similarity and index make one whole number, so that the order has no ties however the bank is cut.

The search scans the bank in float32 and keeps a few more than k. Their similarities are then computed in float64, and
the k best are the answer if the k-th is better than the worst that the scan kept by more than float32 can err, which is
(dim + 4) · 2⁻²⁴ of the largest. The few queries of which this is not true are done again, wholly in float64.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Distance = Literal["cosine", "euclidean"]

BLOCK_BYTES = 1 << 28
"""About what one block of similarities may take."""
FINISH_BYTES = 1 << 22
"""What the vectors gathered for the float64 finish take at a time: they should stay in the processor's cache."""
QUERIES = 512
"""Queries searched at a time."""
INDEX_BITS = 25
"""Room for the index in an ordering key: banks hold up to 33 million vectors."""
GRAIN_BITS = 36
"""Similarities are rounded to this many binary places of the largest possible."""
SMALL_BANK = 64
"""A bank of at most this many times the candidates is searched in float64 at once: quicker than twice."""


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest of every query, nearest first."""

    similarities: NDArray[np.float64]  # (queries, k), rounded as the module's docstring says
    indices: NDArray[np.int64]  # (queries, k), positions in the bank


def nearest(
    bank: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    *,
    distance: Distance = "cosine",
    device: str = "cpu",
    block_bytes: int = BLOCK_BYTES,
) -> Neighbours:
    """Return the k nearest of `bank` (samples, dim) to each of `queries` (queries, dim).

    Costs 2 · samples · queries · dim float32 operations; takes a copy of the bank and a few blocks of `block_bytes`.
    Raises UsageError if k is not in 1 … samples.
    """
    import torch

    if not 1 <= k <= len(bank):
        raise UsageError(f"k={k} neighbours were asked for, and the bank holds {len(bank)}")
    if len(bank) >= 1 << INDEX_BITS:
        raise UsageError(f"the bank holds {len(bank)} vectors; at most {(1 << INDEX_BITS) - 1} can be searched")
    search = _Search(bank, k, distance, device, block_bytes)
    similarities, indices = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.int64)
    for rows in _slices(len(queries), QUERIES):
        block = _Queries(torch.as_tensor(np.require(queries[rows], np.float32, "W"), device=device), search)
        keys = search.whole(block) if search.small else search.scan(block)
        similarities[rows] = ((keys >> INDEX_BITS) * block.grain).cpu().numpy()
        indices[rows] = ((1 << INDEX_BITS) - 1 - (keys & ((1 << INDEX_BITS) - 1))).cpu().numpy()
    return Neighbours(similarities, indices)


def _slices(total: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def _lengths(points: Tensor) -> Tensor:
    """Return the lengths (points, 1) in float64."""
    import torch

    lengths: Tensor = torch.linalg.vector_norm(points, dim=1, keepdim=True, dtype=torch.float64)
    return lengths


def _inverse(lengths: Tensor) -> Tensor:
    """Return 1 / lengths, and 0 for a length of 0."""
    inverse: Tensor = lengths.reciprocal().masked_fill_(lengths == 0, 0.0)
    return inverse


class _Queries:
    """A block of queries, of length 1 (or 0) for the cosine, with their own unit of similarity."""

    def __init__(self, points: Tensor, search: _Search) -> None:
        import torch

        lengths = _lengths(points)
        self.points = points.double()
        if search.distance == "cosine":
            self.points *= _inverse(lengths)
            self.offset, self.largest = torch.zeros_like(lengths), torch.ones_like(lengths)
        else:
            self.offset = lengths.square() / 2
            self.largest = (lengths + search.longest).square() / 2
        power = self.largest.clamp(min=2.0**-900).log2().ceil()
        self.grain = (power - GRAIN_BITS).exp2()  # (queries, 1), a power of two

    def __getitem__(self, rows: Tensor | slice) -> _Queries:
        part = object.__new__(_Queries)
        for name, value in vars(self).items():
            setattr(part, name, value[rows])
        return part


class _Search:
    """A bank made ready, and the two ways through it. Both give ordering keys (queries, k), the best first."""

    def __init__(self, bank: NDArray[np.float32], k: int, distance: Distance, device: str, block_bytes: int) -> None:
        import torch

        self.k, self.distance, self.block_bytes = k, distance, block_bytes
        self.candidates = min(len(bank), k + max(16, k // 4))
        self.small = len(bank) <= SMALL_BANK * self.candidates
        self.bank = torch.as_tensor(np.require(bank, np.float32, "W"), device=device)
        lengths = _lengths(self.bank).T  # (1, samples)
        self.longest = float(lengths.max())
        self.factor = _inverse(lengths) if distance == "cosine" else torch.ones_like(lengths)
        self.offset = torch.zeros_like(lengths) if distance == "cosine" else lengths.square() / 2
        self.scanned = self.bank * self.factor.T.float() if distance == "cosine" else self.bank
        self.shift = self.offset.neg().float() if distance == "euclidean" else None
        self.blocks = _slices(len(bank), max(self.candidates, block_bytes // (8 * QUERIES)))

    def whole(self, queries: _Queries) -> Tensor:
        """Search in float64."""
        import torch

        best = torch.empty(len(queries.points), 0, dtype=torch.int64, device=self.bank.device)
        for rows in self.blocks:
            products = queries.points @ self.bank[rows].double().T
            places = torch.arange(rows.start, rows.stop, device=best.device)[None, :]
            best = self.best(torch.cat([best, self.keys(queries, products, places)], 1))
        return best

    def scan(self, queries: _Queries) -> Tensor:
        """Search in float32, finish in float64, and search again for the queries of which float32 cannot be sure."""
        scores, places = self.scan32(queries)
        keys = self.best(self.keys(queries, self.products(queries, places), places))
        kept = (keys[:, -1:] >> INDEX_BITS) * queries.grain
        doubt = queries.largest * ((self.bank.shape[1] + 4) * 2.0**-24) + 2 * queries.grain
        unsure = (kept <= scores[:, -1:].double() - queries.offset + doubt)[:, 0]
        if unsure.any():
            keys[unsure] = self.whole(queries[unsure])
        return keys

    def scan32(self, queries: _Queries) -> tuple[Tensor, Tensor]:
        """Return the float32 scores and positions (queries, candidates) of the best candidates, best first."""
        import torch

        points = queries.points.float()
        scores = points.new_empty(len(points), 0)
        places = torch.empty(len(points), 0, dtype=torch.int64, device=points.device)
        for rows in self.blocks:
            vectors = self.scanned[rows].T
            block = points @ vectors if self.shift is None else torch.addmm(self.shift[:, rows], points, vectors)
            top = block.topk(min(self.candidates, block.shape[1]), dim=1)
            scores, places = torch.cat([scores, top.values], 1), torch.cat([places, top.indices + rows.start], 1)
            scores, order = scores.topk(min(self.candidates, scores.shape[1]), dim=1)
            places = places.gather(1, order)
        return scores, places

    def products(self, queries: _Queries, places: Tensor) -> Tensor:
        """Return the float64 inner products (queries, candidates) with the vectors at `places`."""
        import torch

        size = max(1, FINISH_BYTES // (8 * places.shape[1] * self.bank.shape[1]))
        parts = []
        for rows in _slices(len(places), size):
            gathered = self.bank[places[rows]].double()
            parts.append(torch.bmm(gathered, queries.points[rows, :, None])[:, :, 0])
        return torch.cat(parts)

    def keys(self, queries: _Queries, products: Tensor, places: Tensor) -> Tensor:
        """Return whole numbers that rise with the rounded similarity and, where that is equal, fall with the index."""
        factor, offset = self.factor[0, places], self.offset[0, places]
        similarity = products * factor - offset - queries.offset
        return (similarity / queries.grain).round().long() * (1 << INDEX_BITS) + ((1 << INDEX_BITS) - 1 - places)

    def best(self, keys: Tensor) -> Tensor:
        return keys.topk(min(self.k, keys.shape[1]), dim=1).values

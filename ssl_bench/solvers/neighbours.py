"""Exact nearest neighbours of every query in a bank, in float64 and in one order on every machine.

    cosine       s(q, b) = q·b / (‖q‖ ‖b‖), and 0 where either is the zero vector
    euclidean    s(q, b) = −½ ‖q − b‖², which on vectors of length 1 is the cosine less one

Neighbours are ordered by falling s, equal ones by rising index. Similarities count as equal when they round to the same
multiple of 2⁻³⁶ of the largest possible: the last bits of a sum depend on its order, and would decide between copies of
one image. Rounded similarity and index make one whole number, so that the order has no ties however the bank is cut.

The bank is read part by part. A part is scanned in few digits: with x̂ for x rounded to bfloat16, where the processor
multiplies that (else to float32), and μ for the middle of the bank,

    | q·(b − μ) − q̂·(b − μ)^ |  ≤  ‖q − q̂‖ ‖b − μ‖ + ‖q̂‖ ‖(b − μ) − (b − μ)^‖ + what the sum itself loses.

The k-th largest of any maxima over disjoint groups of the bank is no more than the k-th largest of all; so every vector
that may be one of the k best is above that, less twice the bound. Those few are computed in float64, which decides.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Distance = Literal["cosine", "euclidean"]

BLOCK_BYTES = 1 << 29
"""What the float64 copy of a part of the bank may take, and what a block of similarities may."""
QUERIES = 1024
"""At most this many queries are searched at a time."""
SCORES = 1 << 25
"""At most this many scores are computed at a time; much more would leave the processor's cache."""
GROUP = 16
"""At most this many vectors have one maximum."""
GROUPS = 8
"""A part has at least so many groups per neighbour, that few of the best share one; else it is wholly computed."""
CROWD = 4
"""A query whose groups within reach hold more than one in so many vectors is computed with all of the part."""
INDEX_BITS = 25
"""Room for the index in an ordering key: banks hold up to 33 million vectors."""
GRAIN_BITS = 36
"""Similarities are rounded to this many binary places of the largest possible."""
LOWEST = -(1 << 62)
"""Below every ordering key."""


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest of every query, nearest first."""

    similarities: NDArray[np.float64]  # (queries, k), rounded as the module's docstring says
    indices: NDArray[np.int64]  # (queries, k), positions in the bank


def nearest(
    bank: NDArray[Any],
    queries: NDArray[Any],
    k: int,
    *,
    distance: Distance = "cosine",
    device: str = "cpu",
    block_bytes: int = BLOCK_BYTES,
) -> Neighbours:
    """Return the k nearest of `bank` (samples, dim) to each of `queries` (queries, dim), both of any float type.

    Costs 2 · samples · queries · dim operations in few digits, and takes, beside the arrays given, which may be
    memory-mapped, about

        1.5 · block_bytes + 32 · queries · k bytes

    and at worst, where a fourth of the bank is as near as the k best, 4 · block_bytes. So a bank of 1,280,000 × 1024
    and 50,000 queries at k = 200 take 1.1 GB. Raises UsageError if k is not in 1 … samples.
    """
    import torch

    if not 1 <= k <= len(bank):
        raise UsageError(f"k={k} neighbours were asked for, and the bank holds {len(bank)}")
    if len(bank) >= 1 << INDEX_BITS:
        raise UsageError(f"the bank holds {len(bank)} vectors; at most {(1 << INDEX_BITS) - 1} can be searched")
    size = max(1, block_bytes // (8 * bank.shape[1]))
    space = _Space(bank, distance, device, size)
    keys = torch.full((len(queries), k), LOWEST, device=device)
    similarities = np.empty((len(queries), k))
    for places in _slices(len(bank), size):
        part = _Part(space, bank[places], places.start, k, block_bytes)
        for rows in _slices(len(queries), part.queries):
            asked = _Queries(queries[rows], space)
            keys[rows] = part.improve(keys[rows], asked)
            if places.stop == len(bank):
                similarities[rows] = asked.similarities(keys[rows]).cpu().numpy()
        del part  # before the next is made: there is room for one
    indices = (1 << INDEX_BITS) - 1 - keys.bitwise_and_((1 << INDEX_BITS) - 1)
    return Neighbours(similarities, indices.cpu().numpy())


def _slices(total: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


def _tensor(points: NDArray[Any], device: str) -> Tensor:
    """Return a float64 copy."""
    import torch

    native = points if points.flags.writeable and points.flags.c_contiguous else points.copy()
    return torch.as_tensor(native, device=device).to(torch.float64, copy=True)


def _lengths(points: Tensor) -> Tensor:
    """Return the lengths (points, 1)."""
    import torch

    lengths: Tensor = torch.linalg.vector_norm(points, dim=1, keepdim=True)
    return lengths


def _inverse(lengths: Tensor) -> Tensor:
    """Return 1 / lengths, and 0 for a length of 0."""
    inverse: Tensor = lengths.reciprocal().masked_fill_(lengths == 0, 0.0)
    return inverse


class _Space:
    """What is measured, and what must be known of the whole bank to measure it."""

    def __init__(self, bank: NDArray[Any], distance: Distance, device: str, size: int) -> None:
        import torch

        self.cosine, self.device = distance == "cosine", device
        self.longest = 0.0
        if not self.cosine:
            self.longest = max(float(_lengths(_tensor(bank[rows], device)).max()) for rows in _slices(len(bank), size))
        some = _tensor(bank[:: -(-len(bank) // 4096)], device)
        self.centre = (self.prepare(some)).mean(0)
        quick = device == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
        self.dtype = torch.bfloat16 if self.cosine and quick else torch.float32

    def prepare(self, points: Tensor) -> Tensor:
        return points.mul_(_inverse(_lengths(points))) if self.cosine else points


class _Queries:
    """A block of queries, of length 1 (or 0) for the cosine, with their own unit of similarity."""

    def __init__(self, points: NDArray[Any], space: _Space) -> None:
        import torch

        self.points = space.prepare(_tensor(points, space.device))
        lengths = _lengths(self.points)
        if space.cosine:
            self.offset, largest = torch.zeros_like(lengths), torch.ones_like(lengths)
            moved = self.points
            self.base = (self.points @ space.centre)[:, None]  # what a scan's value leaves out of the similarity
        else:
            self.offset, largest = lengths.square() / 2, (lengths + space.longest).square() / 2
            moved = self.points - space.centre
            self.base = _lengths(moved).square() / -2
        self.grain = (largest.clamp(min=2.0**-900).log2().ceil() - GRAIN_BITS).exp2()  # (queries, 1), a power of two
        self.rounded = moved.to(space.dtype)
        self.residual = _lengths(moved.float() - self.rounded.float()).double()
        self.reach = _lengths(moved) + self.residual

    def similarities(self, keys: Tensor) -> Tensor:
        return (keys >> INDEX_BITS) * self.grain


class _Part:
    """Some of the bank, made ready: in float64, and rounded about its middle for the scan."""

    def __init__(self, space: _Space, vectors: NDArray[Any], start: int, k: int, block_bytes: int) -> None:
        import torch

        self.k, self.start, self.block_bytes = k, start, block_bytes
        self.dense = len(vectors) < GROUPS * k
        self.group = min(GROUP, max(1, len(vectors) // (GROUPS * k)))
        self.width = -(-len(vectors) // self.group)  # group j has the vectors j, j + width, j + 2 · width …
        self.queries = max(1, min(QUERIES, SCORES // len(vectors), block_bytes // (8 * len(vectors))))
        self.exact = torch.empty(vectors.shape, dtype=torch.float64, device=space.device)
        self.rounded = torch.zeros((self.width * self.group, vectors.shape[1]), dtype=space.dtype, device=space.device)
        self.room = self.rounded.new_empty(0 if self.dense else self.queries, len(self.rounded))
        self.reach = self.residual = 0.0
        self.offset = None if space.cosine else self.exact.new_empty(len(vectors))
        self.shift = None if space.cosine else self.rounded.new_empty(len(self.rounded))
        for rows in _slices(len(vectors), 1024):
            self.exact[rows] = space.prepare(_tensor(vectors[rows], space.device))
            moved = self.exact[rows] - space.centre
            self.rounded[rows] = moved
            self.reach = max(self.reach, float(_lengths(moved).max()))
            self.residual = max(self.residual, float(_lengths(moved.float() - self.rounded[rows].float()).max()))
            if self.offset is not None and self.shift is not None:
                self.offset[rows] = _lengths(self.exact[rows])[:, 0].square() / 2
                self.shift[rows] = _lengths(moved)[:, 0].square() / -2

    def improve(self, best: Tensor, queries: _Queries) -> Tensor:
        """Return the k best keys (queries, k), falling, of `best` and this part of the bank."""
        import torch

        everyone = torch.arange(len(best), device=best.device)
        if self.dense:
            return self.whole(best, queries, everyone)
        scores = self.scan(queries)
        groups = scores.view(len(best), self.group, self.width).amax(1)
        least = self.least(groups, best, queries)
        reached = groups >= least
        crowded = CROWD * self.group * reached.sum(1) > len(self.exact)
        rows, columns = reached.logical_and_(~crowded[:, None]).nonzero(as_tuple=True)
        near = scores.view(len(best), self.group, self.width)[rows, :, columns] >= least[rows]
        pairs, members = near.nonzero(as_tuple=True)
        best = self.finish(best, queries, rows[pairs], columns[pairs] + self.width * members)
        return self.whole(best, queries, everyone[crowded]) if crowded.any() else best

    def scan(self, queries: _Queries) -> Tensor:
        """Return the similarities less `queries.base`, in few digits, (queries, width · group)."""
        import torch

        scores = self.room[: len(queries.points)]  # the same memory for every block: fresh pages cost a third more
        torch.mm(queries.rounded, self.rounded.T, out=scores)
        if self.shift is not None:
            scores += self.shift
        scores[:, len(self.exact) :] = -torch.inf
        return scores

    def least(self, groups: Tensor, best: Tensor, queries: _Queries) -> Tensor:
        """Return the score (queries, 1) that each of the k best has at least, after `best` and by these maxima."""
        import torch

        kth = groups.topk(self.k, dim=1, sorted=False).values.amin(1, keepdim=True).double()
        reach = self.reach + self.residual
        sums = reach * queries.reach + (0 if self.shift is None else reach**2)
        doubt = queries.residual * reach + queries.reach * self.residual + 2 * queries.grain
        doubt += (self.exact.shape[1] + 16) * 2.0**-24 * sums
        here = kth - torch.finfo(groups.dtype).eps / 2 * kth.abs() - 2 * doubt
        before = queries.similarities(best[:, -1:]) - queries.base - doubt
        return torch.maximum(here, before).to(groups.dtype)

    def finish(self, best: Tensor, queries: _Queries, rows: Tensor, places: Tensor) -> Tensor:
        """Return the best keys with those of the pairs (row of the queries, place in the part), by rising row."""
        import torch

        products = self.products(queries, rows, places)
        keys = self.keys(products, queries, rows, places)
        counts = torch.bincount(rows, minlength=len(best))
        columns = self.k + torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
        table = best.new_full((len(best), self.k + int(counts.max())), LOWEST)
        table[:, : self.k] = best
        table[rows, columns] = keys
        return table.topk(self.k, dim=1).values

    def products(self, queries: _Queries, rows: Tensor, places: Tensor) -> Tensor:
        """Return the float64 inner products (pairs,), computed by rising place: so the part is read but once."""
        import torch

        order = places.argsort()
        ends = torch.bincount(places, minlength=len(self.exact)).cumsum(0)
        starts = torch.cat([ends.new_zeros(1), ends])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
            shape = (len(self.exact), len(queries.points))
            pairs = torch.sparse_csr_tensor(
                starts, rows[order], self.exact.new_zeros(len(order)), shape, check_invariants=False
            )
        found = torch.sparse.sampled_addmm(pairs, self.exact, queries.points.T, beta=0.0).values()
        return torch.empty_like(found).scatter_(0, order, found)

    def whole(self, best: Tensor, queries: _Queries, rows: Tensor) -> Tensor:
        """Return the best keys, those of `rows` with every vector of the part."""
        import torch

        found = best[rows]
        for some in _slices(len(self.exact), max(1, self.block_bytes // (64 * len(rows)))):
            places = torch.arange(some.start, some.stop, device=best.device)[None, :]
            keys = self.keys(queries.points[rows] @ self.exact[some].T, queries, rows[:, None], places)
            found = torch.cat([found, keys], 1).topk(self.k, dim=1).values
        return best.index_copy(0, rows, found)

    def keys(self, products: Tensor, queries: _Queries, rows: Tensor, places: Tensor) -> Tensor:
        """Return whole numbers that rise with the rounded similarity and, where that is equal, fall with the index."""
        if self.offset is not None:
            products = products - self.offset[places] - queries.offset[rows, 0]
        units = (products / queries.grain[rows, 0]).round_().long()
        return units.mul_(1 << INDEX_BITS).add_((1 << INDEX_BITS) - 1 - self.start - places)

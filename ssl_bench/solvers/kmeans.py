"""k-means: Lloyd's algorithm from k-means++ starts, in float64, the best of several.

    minimise  Σ_i min_c ‖x_i − μ_c‖²

A start draws its first centre uniformly and each further one with a probability in proportion to the squared distance
from the nearest centre so far (Arthur and Vassilvitskii, SODA 2007): 2 + ⌊ln k⌋ times, of which the draw that leaves
the least distance counts, as the authors suggest. Lloyd's steps alternate between the nearest centre of every sample
and the mean of every centre's samples, until no sample moves. A centre that lost all its samples goes to the sample
that is farthest from its own centre. Equally near centres are taken by number. The draws are NumPy's, so that they are
the same on every device.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

BLOCK_BYTES = 1 << 28
"""About what one block of distances may take."""
ROUNDING = 1e-13
"""Squared distances below this fraction of the squared lengths are 0: their digits are those of the lengths."""


@dataclasses.dataclass(frozen=True, eq=False)
class Clustering:
    """Centres and what they explain."""

    centres: NDArray[np.float64]  # (k, dim)
    assigned: NDArray[np.int64]  # (samples,)
    inertia: float
    """Σ of squared distances to the nearest centre."""
    iterations: int
    converged: bool
    """True: the last step moved no sample."""


def fit(
    features: NDArray[Any], k: int, *, restarts: int = 10, iterations: int = 300, seed: int = 0, device: str = "cpu"
) -> Clustering:
    """Return the clustering of `features` (samples, dim) with the least inertia among `restarts` starts.

    Costs 2 · samples · k · dim operations per step, and a float64 copy of the features. Raises UsageError if k is not
    in 1 … samples, and DataError where fewer than k features differ.
    """
    import torch

    if not 1 <= k <= len(features):
        raise UsageError(f"{k} clusters were asked for, and there are {len(features)} samples")
    points = torch.as_tensor(np.asarray(features, dtype=np.float64), device=device)
    generator = np.random.default_rng(seed)
    found = [lloyd(points, start(points, k, generator), iterations) for _ in range(restarts)]
    return min(found, key=lambda clustering: clustering.inertia)


def assign(features: NDArray[Any], centres: NDArray[np.float64], device: str = "cpu") -> NDArray[np.int64]:
    """Return the nearest centre (samples,) of features (samples, dim) that need not be those that were clustered."""
    import torch

    points = torch.as_tensor(np.asarray(features, dtype=np.float64), device=device)
    nearest, _ = _nearest(points, points.square().sum(1), torch.as_tensor(centres, device=device))
    found: NDArray[np.int64] = nearest.cpu().numpy()
    return found


def start(points: Tensor, k: int, generator: np.random.Generator) -> Tensor:
    """Return k of the points (samples, dim) as first centres (k, dim); raise DataError where fewer than k differ."""
    import torch

    chosen, draws = [int(generator.integers(len(points)))], 2 + int(np.log(k))
    squares = points.square().sum(1)
    distances = _distances(points, squares, points[chosen])[:, 0]
    for count in range(1, k):
        total = distances.cumsum(0)
        if not float(total[-1]) > 0:
            raise DataError(f"{k} clusters were asked for, and only {count} of the {len(points)} features differ")
        aims = torch.as_tensor(generator.random(draws), device=total.device) * total[-1]
        last = int(distances.nonzero()[-1])  # rounding may aim beyond the sum
        places = torch.searchsorted(total, aims, right=True).clamp(max=last)
        left = torch.minimum(distances[:, None], _distances(points, squares, points[places]))
        best = int(left.sum(0).argmin())
        chosen.append(int(places[best]))
        distances = left[:, best]
    return points[chosen]


def lloyd(points: Tensor, centres: Tensor, iterations: int) -> Clustering:
    """Return what at most `iterations` of Lloyd's steps make of `centres` (k, dim)."""
    squares = points.square().sum(1)
    assigned, distances = _nearest(points, squares, centres)
    converged, step = False, 0
    while step < iterations and not converged:
        step += 1
        centres = _means(points, assigned, distances, len(centres))
        before = assigned
        assigned, distances = _nearest(points, squares, centres)
        converged = bool((assigned == before).all())
    return Clustering(
        centres.cpu().numpy(), assigned.cpu().numpy(), float(distances.sum()), iterations=step, converged=converged
    )


def _distances(points: Tensor, squares: Tensor, centres: Tensor) -> Tensor:
    """Return squared distances (samples, centres), given the points' squared lengths; what rounding leaves is 0."""
    import torch

    both = squares[:, None] + centres.square().sum(1)
    found = torch.addmm(both, points, centres.T, alpha=-2)
    return found.masked_fill_(found <= ROUNDING * both, 0.0)


def _nearest(points: Tensor, squares: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Return each point's nearest centre (samples,) and the squared distance to it (samples,)."""
    import torch

    size = max(1, BLOCK_BYTES // (24 * len(centres)))
    rows = [slice(row, row + size) for row in range(0, len(points), size)]
    parts = [_distances(points[part], squares[part], centres).min(1) for part in rows]
    return torch.cat([part.indices for part in parts]), torch.cat([part.values for part in parts])


def _means(points: Tensor, assigned: Tensor, distances: Tensor, k: int) -> Tensor:
    """Return the mean of every centre's points; a centre without one takes the farthest point that is still free."""
    import torch

    counts = torch.bincount(assigned, minlength=k)
    empty = (counts == 0).nonzero()[:, 0]
    if len(empty):
        far = distances.argsort(descending=True, stable=True)[: len(empty)]
        assigned = assigned.clone()
        assigned[far] = empty
        counts = torch.bincount(assigned, minlength=k)
    sums = points.new_zeros(k, points.shape[1]).index_add_(0, assigned, points)
    return sums / counts.clamp(min=1)[:, None]

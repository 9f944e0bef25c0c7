"""How evenly features spread over their dimensions, read off singular values; no label is looked at.

With σ the singular values of the features Z (samples, dim) as they are, and λ the eigenvalues of their covariance
(which are its singular values, too), in falling order:

    rankme           exp(−Σ p log p),  p = σ / Σσ + 1e-7        (RankMe: Garrido et al., ICML 2023, eq. 1)
    effective_rank   exp(−Σ p log p),  p = λ / Σλ               (Roy and Vetterli, EUSIPCO 2007, of the covariance)
    alpha            slope −d log λ_i / d log i over the ranks i = first … last, by least squares in which rank i weighs
                     1 / i (α-ReQ: Agrawal et al., NeurIPS 2022; their code fits ranks 4 to 100 in the way of Stringer
                     et al., Nature 2019)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError

EPSILON = 1e-7
"""What RankMe adds to every share, as published for float32."""


def singular_values(features: NDArray[Any], device: str = "cpu") -> NDArray[np.float64]:
    """Return the singular values (min(samples, dim),) of features (samples, dim), falling, in float64."""
    import torch

    matrix = torch.as_tensor(np.asarray(features, dtype=np.float64), device=device)
    values: NDArray[np.float64] = torch.linalg.svdvals(matrix).cpu().numpy()
    return values


def variances(features: NDArray[Any], device: str = "cpu") -> NDArray[np.float64]:
    """Return the eigenvalues of the covariance, falling, less those that rounding alone leaves.

    Raises DataError where there are fewer than two samples or no feature varies.
    """
    exact = np.asarray(features, dtype=np.float64)
    if len(exact) < 2:
        raise DataError("the spread of features needs two samples at least")
    found = singular_values(exact - exact.mean(axis=0), device) ** 2 / (len(exact) - 1)
    rounding = np.finfo(np.float64).eps * max(exact.shape) * max(found[0], EPSILON * float(np.abs(exact).max()) ** 2)
    kept: NDArray[np.float64] = found[found > rounding]
    if not len(kept):
        raise DataError("all features are the same, whatever the image, so they have no spread")
    return kept


def rankme(singular: NDArray[np.float64]) -> float:
    """Return RankMe of singular values; raise DataError where all are 0."""
    if not singular.sum() > 0:
        raise DataError("all features are the zero vector, so they have no rank")
    return _exp_entropy(singular / singular.sum() + EPSILON)


def effective_rank(values: NDArray[np.float64]) -> float:
    """Return the effective rank of positive eigenvalues."""
    return _exp_entropy(values / values.sum())


def alpha(values: NDArray[np.float64], first: int = 4, last: int = 100) -> float | None:
    """Return the decay of positive eigenvalues over the ranks `first` … `last`, or as many as there are.

    None where fewer than ten ranks are left: too few for a slope.
    """
    ranks = np.arange(first, min(last, len(values)) + 1)
    if len(ranks) < 10:
        return None
    weights, x, y = 1 / ranks, np.log(ranks), np.log(values[ranks - 1])
    x, y = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
    return float(-(weights * x * y).sum() / (weights * x * x).sum())


def _exp_entropy(shares: NDArray[np.float64]) -> float:
    there = shares[shares > 0]
    return float(np.exp(-(there * np.log(there)).sum()))

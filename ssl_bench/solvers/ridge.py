"""Ridge regression onto one-hot labels in closed form: every penalty of a whole path from one eigendecomposition.

    minimise over (W, b)    Σ_i ‖ x_i W + b − y_i ‖² + λ ( ‖W‖² + ‖b / BIAS‖² )

with x standardised, y_i +1 at the class and −1 elsewhere: the problem of google-research/big_vision
evaluators/fewshot_lsr.py, which reads the bias from a further feature of constant value BIAS. Standardised features
sum to 0, so the bias stands alone, b = BIAS² Σ_i y_i / (BIAS² n + λ), and

    W = (XᵀX + λ)⁻¹ Xᵀ Y = Q (e + λ)⁻¹ (Qᵀ Xᵀ Y)      XᵀX = Q diag(e) Qᵀ      n ≥ dim
    W = Xᵀ (XXᵀ + λ)⁻¹ Y = (Xᵀ Q) (e + λ)⁻¹ (Qᵀ Y)    XXᵀ = Q diag(e) Qᵀ      n < dim
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError

BIAS = 100.0
"""The constant feature that stands for the bias: large, so that the penalty hardly holds it. fewshot_lsr.py has it."""
FLOOR = 1e-5
"""What is added to every feature's deviation. fewshot_lsr.py has it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """The optimum for one penalty."""

    penalty: float
    weights: NDArray[np.float64]  # (dim, classes), for features as they were given
    intercepts: NDArray[np.float64]  # (classes,)

    def scores(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return what is predicted of ±1, (samples, classes), from features (samples, dim)."""
        scores: NDArray[np.float64] = features.astype(np.float64, copy=False) @ self.weights + self.intercepts
        return scores


def path(
    features: NDArray[Any], labels: NDArray[np.int64], classes: int, penalties: Iterable[float]
) -> Iterator[Solution]:
    """Yield the optimum for each of `penalties`, the values of λ, in the order given.

    `features` is (samples, dim) of any float type, `labels` is (samples,) in 0 … classes − 1; a class may have no
    sample. The first optimum costs samples · dim · min(samples, dim) operations and an eigendecomposition of that
    smaller size; each further one costs dim · min(samples, dim) · classes. All in float64. Raises DataError if there is
    no sample, a label is out of range or a feature is not finite, and UsageError if a penalty is not above 0.
    """
    _check(features, labels, classes)
    x = features.astype(np.float64)
    mean = x.mean(axis=0)
    deviation = x.std(axis=0) + FLOOR
    x = (x - mean) / deviation
    y = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)
    left, eigenvalues, right = _decompose(x, y)
    for penalty in map(float, penalties):
        if not penalty > 0:
            raise UsageError(f"ridge: a penalty must be above 0, not {penalty:g}")
        weights = (left / (eigenvalues + penalty)) @ right / deviation[:, None]
        bias = y.sum(axis=0) / (len(y) + penalty / BIAS**2)
        yield Solution(penalty, weights, bias - mean @ weights)


def _decompose(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return left (dim, m), e (m,) and right (m, classes) such that W = left (e + λ)⁻¹ right."""
    if x.shape[0] >= x.shape[1]:
        eigenvalues, q = np.linalg.eigh(x.T @ x)
        return q, eigenvalues.clip(min=0), q.T @ (x.T @ y)
    eigenvalues, q = np.linalg.eigh(x @ x.T)
    return x.T @ q, eigenvalues.clip(min=0), q.T @ y


def _check(features: NDArray[Any], labels: NDArray[np.int64], classes: int) -> None:
    if not len(features):
        raise DataError("ridge regression needs a sample; there is none")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"ridge regression was given labels {labels.min()} … {labels.max()} for {classes} classes")
    if not np.isfinite(features).all():
        raise DataError("ridge regression needs finite features; one is NaN or infinite")

"""The solver of ridge regression: the closed form of big_vision's few-shot evaluator, for every penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ssl_bench.errors import DataError, UsageError
from ssl_bench.solvers import ridge

PENALTIES = 2.0 ** np.arange(-10, 21, 5)


def digits(samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return some digits with their labels, and the others; at 40 samples the dual form is the cheaper one."""
    x, y = load_digits(return_X_y=True)
    return x[:samples].astype(np.float32), y[:samples], x[samples:].astype(np.float32)


def with_the_constant_feature(x: np.ndarray, y: np.ndarray, other: np.ndarray, classes: int, penalty: float) -> Any:
    """Return the scores of `other` by the formula as fewshot_lsr.py states it, solved directly in float64."""
    x, other = x.astype(np.float64), other.astype(np.float64)
    mean, deviation = x.mean(0), x.std(0) + 1e-5
    x, other = (np.c_[(part - mean) / deviation, np.full(len(part), 100.0)] for part in (x, other))
    targets = 2.0 * np.eye(classes)[y] - 1
    return other @ np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ targets)


@pytest.mark.parametrize("samples", [40, 65, 1000])
def test_the_direct_solution(samples: int) -> None:
    """At every penalty, with fewer samples than features or more, scores are within 1e-5 of the direct solution's."""
    x, y, other = digits(samples)
    for fit, penalty in zip(ridge.path(x, y, 10, PENALTIES), PENALTIES, strict=True):
        expected = with_the_constant_feature(x, y, other, 10, penalty)
        assert fit.penalty == penalty
        np.testing.assert_allclose(fit.scores(other), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("samples", [40, 1000])
def test_the_optimum_of_scikit_learn(samples: int) -> None:
    """With the bias held as loosely as by a constant feature of 1e9, weights are those of scikit-learn's Ridge."""
    from sklearn.linear_model import Ridge

    x, y, other = digits(samples)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ridge, "BIAS", 1e9)
        fits = list(ridge.path(x, y, 10, PENALTIES))
    mean, deviation = x.astype(np.float64).mean(0), x.astype(np.float64).std(0) + 1e-5
    for fit in fits:
        peer = Ridge(alpha=fit.penalty, solver="svd").fit((x - mean) / deviation, 2.0 * np.eye(10)[y] - 1)
        expected = peer.predict((other - mean) / deviation)
        np.testing.assert_allclose(fit.scores(other), expected, atol=1e-5 * np.abs(expected).max())


def test_one_sample() -> None:
    """One sample has no deviation and no direction: every image has the scores of its class, 1 / (1 + λ / 100²)."""
    fit = next(ridge.path(np.array([[3.0, 4.0]]), np.array([1]), 2, [100.0]))
    np.testing.assert_allclose(fit.scores(np.array([[0.0, 9.0]])), [[-1 / 1.01, 1 / 1.01]])


def test_a_class_without_a_sample() -> None:
    """A class without a sample is −1 everywhere: its score is the bias alone, and it has no weights."""
    x, y, _ = digits(100)
    fit = next(ridge.path(x, y, 11, [1.0]))
    np.testing.assert_allclose(fit.scores(x)[:, 10], -100 / (100 + 1e-4), rtol=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (np.ones((0, 2)), np.zeros(0, int), "there is none"),
        ([[0.0], [1.0]], [0, 2], "labels 0 … 2 for 2 classes"),
        ([[0.0], [np.inf]], [0, 1], "NaN or infinite"),
    ],
)
def test_bad_data(x: Any, y: Any, says: str) -> None:
    """No sample, a label out of range and a feature that is no number are refused."""
    with pytest.raises(DataError, match=says):
        next(ridge.path(np.array(x), np.array(y), 2, [1.0]))


def test_bad_penalty() -> None:
    """A penalty of 0 is refused."""
    with pytest.raises(UsageError, match="above 0"):
        next(ridge.path(np.eye(2), np.array([0, 1]), 2, [0.0]))

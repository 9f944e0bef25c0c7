"""One class against the rest: scikit-learn's optimum for every class and strength, unknown labels left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from ssl_bench.errors import DataError
from ssl_bench.solvers import linear_loss, logistic
from ssl_bench.solvers.preconditioner import Blocks
from ssl_bench.solvers.sigmoid_loss import Sigmoid

STRENGTHS = 10 ** np.linspace(-6, 5, 5)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Digits of 8x8 pixels (300, 64), standardised, and whether each is even, above 4, a multiple of 3, round."""
    x, y = load_digits(return_X_y=True)
    x = (x[:300] - x[:300].mean(0)) / np.where(x[:300].std(0) > 0, x[:300].std(0), 1)
    y = y[:300]
    return x, np.stack([y % 2 == 0, y > 4, y % 3 == 0, np.isin(y, (0, 6, 8, 9))], axis=1).astype(np.int64)


def test_parity_with_scikit_learns_one_vs_rest(data: Any) -> None:
    """For every C the objective of every class is that of OneVsRestClassifier at tol 1e-8 to 1e-7, and no worse."""
    x, holds = data
    for found in logistic.path(x, holds, STRENGTHS):
        peer = OneVsRestClassifier(LogisticRegression(C=found.c, tol=1e-8, max_iter=1000, solver="newton-cholesky"))
        peer.fit(x, holds)
        weights = np.concatenate([each.coef_ for each in peer.estimators_]).T
        z = x @ weights + np.array([each.intercept_[0] for each in peer.estimators_])
        reference = 0.5 * (weights**2).sum(0) + found.c * (np.logaddexp(0, z) - holds * z).sum(0)
        logits = x @ found.weights + found.intercepts
        reached = 0.5 * (found.weights**2).sum(0) + found.c * (np.logaddexp(0, logits) - holds * logits).sum(0)
        assert found.converged
        assert found.objective == pytest.approx(reached.sum(), rel=1e-9)
        np.testing.assert_array_less(reached, reference * (1 + 1e-7))
        np.testing.assert_allclose(reached, reference, rtol=1e-4)
        np.testing.assert_allclose(found.scores(x), z, atol=2e-3 * np.abs(z).max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("price", [0.0, np.inf])
def test_near_enough_to_choose(data: Any, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, price: float) -> None:
    """A fit for choosing is within 1e-4 of the optimum, whatever steers it and whatever stands for H⁻¹."""
    monkeypatch.setattr(linear_loss, "steering_dtype", lambda device: dtype)
    x, holds = data
    built = Sigmoid.preconditioner

    def priced(problem: Sigmoid) -> Blocks:
        blocks = built(problem)
        blocks.price = price
        return blocks

    monkeypatch.setattr(Sigmoid, "preconditioner", priced)
    rough = logistic.path(x, holds, STRENGTHS, tolerance=logistic.CHOOSING)
    for strict, loose in zip(logistic.path(x, holds, STRENGTHS), rough, strict=True):
        assert loose.converged
        assert strict.converged
        logits = x @ loose.weights + loose.intercepts
        reached = 0.5 * (loose.weights**2).sum() + loose.c * (np.logaddexp(0, logits) - holds * logits).sum()
        assert strict.objective * (1 - 1e-8) <= reached <= strict.objective * (1 + 1e-4)


def test_what_is_unknown_is_left_out(data: Any) -> None:
    """A class learns as if the samples whose label is -1 were not there, and the other classes as if they were."""
    x, holds = data
    some = holds.copy()
    some[::3, 1] = -1
    [found] = logistic.path(x, some, [0.01])
    kept = some[:, 1] >= 0
    peer = LogisticRegression(C=0.01, tol=1e-10, max_iter=1000).fit(x[kept], some[kept, 1])
    np.testing.assert_allclose(found.scores(x)[:, 1], peer.decision_function(x), atol=1e-4)
    [whole] = logistic.path(x, holds, [0.01])
    np.testing.assert_allclose(found.scores(x)[:, 0], whole.scores(x)[:, 0], atol=1e-4)


def test_more_columns_than_samples(data: Any) -> None:
    """Fewer samples than features change nothing of the optimum."""
    x, holds = data[0][:40], data[1][:40]
    [found] = logistic.path(x, holds, [1.0])
    peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x, holds[:, 0])
    np.testing.assert_allclose(found.weights[:, 0], peer.coef_[0], atol=1e-4)


@pytest.mark.parametrize("value", [0, 1])
def test_a_class_on_one_side(data: Any, value: int) -> None:
    """A class that holds of none or of all samples is refused, and so is a feature that is not finite."""
    x, holds = data
    same = np.concatenate([holds[:, :1], np.full_like(holds[:, :1], value)], axis=1)
    with pytest.raises(DataError, match="class 1 holds of none or of all"):
        next(logistic.path(x, same, [1.0]))
    with pytest.raises(DataError, match="NaN or infinite"):
        next(logistic.path(np.where(x > 2, np.nan, x), holds, [1.0]))

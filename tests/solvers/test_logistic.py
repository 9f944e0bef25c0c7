"""The solver of logistic regression: it reaches the optimum, on every strength, and says when it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.datasets import load_digits

from ssl_bench.errors import DataError
from ssl_bench.solvers import linear_loss, logistic

GRID = 10 ** np.linspace(-6, 5, 45)


def objective(weights: Any, intercepts: Any, x: Any, y: Any, c: float) -> float:
    """f_C as the module's docstring writes it, in float64 NumPy."""
    logits = x @ weights + intercepts
    losses = logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]
    return float(0.5 * (weights**2).sum() + c * losses.sum())


def digits(samples: int, wide: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return digits, pixels of 0 … 1; `wide` appends all products of neighbouring pixels, so that dim > samples."""
    x, y = load_digits(return_X_y=True)
    x = x[:samples] / 16
    if wide:
        x = np.hstack([x, *(x * np.roll(x, shift, axis=1) for shift in range(1, 9))])
    return x, y[:samples]


@pytest.mark.parametrize(("samples", "wide"), [(1500, False), (300, False), (200, True)])
def test_the_optimum_of_scikit_learn(samples: int, wide: bool) -> None:
    """At every C the objective is within 1e-6 of scikit-learn's lbfgs at tol 1e-13, and never above it."""
    from sklearn.linear_model import LogisticRegression

    x, y = digits(samples, wide)
    for fit in logistic.path(x, y, GRID[::11]):
        peer = LogisticRegression(C=fit.c, tol=1e-13, max_iter=50_000).fit(x, y)
        theirs = objective(peer.coef_.T, peer.intercept_, x, y, fit.c)
        ours = objective(fit.weights, fit.intercepts, x, y, fit.c)
        assert ours == pytest.approx(fit.objective, rel=1e-9)
        assert ours == pytest.approx(theirs, rel=1e-6)
        assert ours <= theirs * (1 + 1e-8)
        assert fit.converged


def test_separable_and_ill_conditioned() -> None:
    """Digits that a plane separates, columns down to 1e-3 of the first, C = 1e5: the optimum of newton-cholesky."""
    from sklearn.linear_model import LogisticRegression

    x, y = digits(500)
    x = (x - x.mean(0)) * np.geomspace(1, 1e-3, x.shape[1])
    fit = next(logistic.path(x, y, [1e5]))
    peer = LogisticRegression(C=1e5, tol=1e-13, max_iter=1000, solver="newton-cholesky").fit(x, y)
    theirs = objective(peer.coef_.T, peer.intercept_, x, y, 1e5)
    assert (fit.scores(x).argmax(axis=1) == y).all()
    assert fit.converged
    assert fit.objective == pytest.approx(theirs, rel=1e-6)
    assert fit.objective <= theirs * (1 + 1e-8)


def test_two_classes() -> None:
    """With two classes the weights are ± half of those of scikit-learn's sigmoid at twice the C."""
    from sklearn.linear_model import LogisticRegression

    x, y = digits(700)
    x, y = x[y < 2], y[y < 2]
    for fit in logistic.path(x, y, [0.01, 1.0, 100.0]):
        peer = LogisticRegression(C=2 * fit.c, tol=1e-10, max_iter=50_000).fit(x, y)
        np.testing.assert_allclose(fit.weights[:, 1], peer.coef_[0] / 2, atol=1e-4)
        np.testing.assert_allclose(fit.weights[:, 0], -fit.weights[:, 1], atol=1e-13)


def test_the_gap_is_a_bound() -> None:
    """The objective of a loose solution exceeds the optimum by no more than its gap, and is stated to 1e-5."""
    x, y = digits(300)
    rough = logistic.path(x, y, GRID[::5], tolerance=1e-3)
    for strict, loose in zip(logistic.path(x, y, GRID[::5]), rough, strict=True):
        reached = objective(loose.weights, loose.intercepts, x, y, loose.c)
        assert reached == pytest.approx(loose.objective, rel=1e-5)
        assert -1e-8 * strict.objective <= reached - strict.objective <= loose.gap + 1e-8 * strict.objective
        assert loose.converged
        assert loose.gap <= 1e-3 * loose.objective


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_near_enough_to_choose(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    """At every C of the grid the objective of a fit for choosing is within 1e-5 of the optimum, a tenth of what is
    asked, however its steps are steered."""
    monkeypatch.setattr(linear_loss, "steering_dtype", lambda device: dtype)
    x, y = digits(400)
    rough = logistic.path(x, y, GRID, tolerance=logistic.CHOOSING)
    for strict, loose in zip(logistic.path(x, y, GRID), rough, strict=True):
        assert loose.converged
        assert objective(loose.weights, loose.intercepts, x, y, loose.c) <= strict.objective * (1 + 1e-5)


def test_a_start_near_by() -> None:
    """From the optimum for other samples, as from nothing and by itself, the same optimum is reached."""
    x, y = digits(400)
    near = next(logistic.path(x[:300], y[:300], [10.0]))
    from_near, alone = (next(logistic.path(x, y, [10.0], near=start)) for start in (near, None))
    assert from_near.converged
    assert from_near.objective == pytest.approx(alone.objective, rel=2e-8)
    fewer = next(logistic.path(x[y < 5], y[y < 5], [10.0]))
    assert next(logistic.path(x, y, [10.0], near=fewer)).objective == pytest.approx(alone.objective, rel=2e-8)


def test_slices_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples taken 17 at a time have the optima of all at once."""
    x, y = digits(300)
    at_once = list(logistic.path(x, y, GRID[::11]))
    monkeypatch.setattr(linear_loss, "SLICE", 75 * 17)
    for fit, other in zip(logistic.path(x, y, GRID[::11]), at_once, strict=True):
        assert fit.converged
        assert fit.objective == pytest.approx(other.objective, rel=1e-8)


def test_an_honest_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut short, a solution says that it did not converge."""
    monkeypatch.setattr(logistic, "NEWTON_STEPS", 1)
    fit = next(logistic.path(*digits(300), [1e5]))
    assert (fit.converged, fit.iterations) == (False, 1)
    assert fit.gap > logistic.TOLERANCE * fit.objective


def test_any_strength_from_nothing() -> None:
    """A strength solved alone, from no weights, has the optimum that the path gives it."""
    x, y = digits(300)
    for fit in logistic.path(x, y, GRID[::11]):
        alone = next(logistic.path(x, y, [fit.c]))
        assert alone.converged
        assert alone.objective == pytest.approx(fit.objective, rel=1e-7)


def test_location_and_basis_do_not_matter() -> None:
    """Shifting the features, or turning them, leaves every objective and logit as it was."""
    x, y = digits(300)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))[0]
    for one, other in zip(logistic.path(x, y, [0.1, 10]), logistic.path(x @ turn + 100, y, [0.1, 10]), strict=True):
        assert one.objective == pytest.approx(other.objective, rel=1e-8)
        np.testing.assert_allclose(one.scores(x), other.scores(x @ turn + 100), atol=1e-2)


def test_copies_of_columns_and_rows() -> None:
    """Data of deficient rank, and copies of samples, are no obstacle: m copies at C are one at m·C."""
    x, y = digits(200)
    thrice = next(logistic.path(np.tile(x, (3, 1)), np.tile(y, 3), [0.5]))
    once = next(logistic.path(x, y, [1.5]))
    assert thrice.objective == pytest.approx(once.objective, rel=1e-7)
    doubled = next(logistic.path(np.hstack([x, x]), y, [0.75]))
    scaled = next(logistic.path(x * 2**0.5, y, [0.75]))
    assert doubled.objective == pytest.approx(scaled.objective, rel=1e-7)


def test_features_that_say_nothing() -> None:
    """Constant features leave the frequencies of the classes: f = C · samples · entropy."""
    y = np.array([0, 0, 0, 1])
    fit = next(logistic.path(np.ones((4, 3)), y, [2.0]))
    assert fit.objective == pytest.approx(-2 * (3 * np.log(0.75) + np.log(0.25)), rel=1e-8)
    assert np.abs(fit.weights).max() < 1e-12


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        ([[0.0], [1.0]], [0, 0], "only one class"),
        ([[0.0], [1.0]], [0, 2], "class 1 has no sample"),
        ([[0.0], [np.nan]], [0, 1], "NaN or infinite"),
    ],
)
def test_bad_data(x: Any, y: Any, says: str) -> None:
    """One class, a class without samples and a feature that is no number are refused."""
    with pytest.raises(DataError, match=says):
        next(logistic.path(np.array(x), np.array(y), [1.0]))


def test_copies_of_features_cost_and_change_nothing() -> None:
    """Columns that repeat others, and constant ones, leave the predictions as they are, and share the weights."""
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(300, 6)), np.arange(300) % 3
    x[np.arange(300), y] += 1.0
    plain = next(iter(logistic.path(x, y, [2.0])))
    copied = next(iter(logistic.path(np.hstack([x, x, x, np.ones((300, 2))]) / np.sqrt(3), y, [2.0])))
    assert copied.objective == pytest.approx(plain.objective, rel=1e-9)
    scores = copied.scores(np.hstack([x, x, x, np.ones((300, 2))]) / np.sqrt(3))
    np.testing.assert_allclose(scores, plain.scores(x), atol=1e-4)
    np.testing.assert_allclose(copied.weights[:6], copied.weights[6:12], atol=1e-9)
    np.testing.assert_allclose(copied.weights[18:], 0, atol=1e-9)

"""How evenly features spread: by hand, and as the published codes count it."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_bench.errors import DataError
from ssl_bench.solvers import spectrum


def test_by_hand() -> None:
    """Features along three axes with lengths 2, 1 and 1 have shares ½, ¼, ¼ and so a rank of 2 · 2^½ = 2.83."""
    features = np.diag([2.0, 1.0, 1.0])
    assert spectrum.singular_values(features).tolist() == pytest.approx([2, 1, 1])
    assert spectrum.rankme(spectrum.singular_values(features)) == pytest.approx(2**1.5, rel=1e-5)
    assert spectrum.effective_rank(np.array([1.0, 1.0, 1.0, 1.0])) == pytest.approx(4)


def test_variances_are_those_of_the_covariance() -> None:
    """They are numpy's eigenvalues of the covariance, and a feature that repeats another adds none."""
    draw = np.random.default_rng(0).normal(size=(50, 4)) * [3, 2, 1, 0.1] + 7
    expected = np.sort(np.linalg.eigvalsh(np.cov(draw.T)))[::-1]
    np.testing.assert_allclose(spectrum.variances(draw), expected)
    assert len(spectrum.variances(np.concatenate([draw, draw[:, :1], np.ones((50, 1))], axis=1))) == 4


def test_a_power_law_is_found() -> None:
    """Of eigenvalues i^-1.7 the exponent is 1.7, whatever comes before the first rank and after the last."""
    values = 5.0 * np.arange(1, 300) ** -1.7
    values[:3], values[100:] = 1e6, 1e-9
    assert spectrum.alpha(values) == pytest.approx(1.7)
    assert spectrum.alpha(values[:12]) is None
    assert spectrum.alpha(values[:13]) == pytest.approx(1.7)


def test_alpha_is_the_published_fit() -> None:
    """On a bent spectrum it is the weighted least squares of the authors' code: solve (XᵀWX) b = XᵀW log λ."""
    values = np.sort(np.random.default_rng(1).gamma(0.5, size=200))[::-1]
    ranks = np.arange(4, 101)
    x = np.stack([-np.log(ranks), np.ones(len(ranks))], axis=1)
    weighted = x / ranks[:, None]
    expected = np.linalg.solve(weighted.T @ x, weighted.T @ np.log(values[3:100]))[0]
    assert spectrum.alpha(values) == pytest.approx(expected)


def test_rankme_is_the_published_formula() -> None:
    """exp of the entropy of σ / Σσ + 1e-7, which counts directions that are not used as nearly none."""
    draw = np.random.default_rng(2).normal(size=(300, 20)) @ np.diag([1.0] * 10 + [0.0] * 10)
    share = np.linalg.svd(draw, compute_uv=False) / np.linalg.svd(draw, compute_uv=False).sum() + 1e-7
    assert spectrum.rankme(spectrum.singular_values(draw)) == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert 9 < spectrum.rankme(spectrum.singular_values(draw)) < 10.01


def test_mistakes() -> None:
    """Features without any spread are one clear line."""
    with pytest.raises(DataError, match="two samples"):
        spectrum.variances(np.ones((1, 3)))
    with pytest.raises(DataError, match="the same, whatever the image"):
        spectrum.variances(np.full((10, 3), 0.1))
    with pytest.raises(DataError, match="zero vector"):
        spectrum.rankme(np.zeros(3))

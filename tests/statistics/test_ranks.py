"""Distributions, ranks, critical differences and power: figures of SciPy and statsmodels, and by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, stats

from ssl_bench.statistics import (
    alike_with_best,
    bradley_terry,
    detectable,
    detectable_mean,
    friedman,
    needed,
    nemenyi,
    power,
    rank_intervals,
    rank_intervals_of_means,
    signed_rank,
    wilcoxon_holm,
)
from ssl_bench.statistics import distributions as own


@pytest.mark.parametrize("df", [1, 2, 4.5, 30, 1e5, 1e9])
@pytest.mark.parametrize("t", [0.0, 0.3, 2.0, 11.0])
def test_students_t(t: float, df: float) -> None:
    """Two-sided tails and quantiles of Student's t are SciPy's."""
    assert own.t_two_sided(t, df) == pytest.approx(2 * stats.t.sf(t, df), rel=1e-6)
    assert own.t_quantile(0.95, df) == pytest.approx(stats.t.ppf(0.975, df), rel=1e-6)


@pytest.mark.parametrize("df", [1, 3, 18])
@pytest.mark.parametrize("x", [0.0, 0.1, 4.0, 60.0])
def test_chi_squared(x: float, df: float) -> None:
    """The upper tail of χ² is SciPy's."""
    assert own.chi2_above(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("k", [2, 5, 20])
def test_studentized_range(k: int) -> None:
    """The studentized range of known variance is SciPy's with infinite degrees of freedom."""
    assert own.studentized_range_above(3.3, k) == pytest.approx(stats.studentized_range.sf(3.3, k, np.inf), rel=1e-8)
    assert own.studentized_range_quantile(0.95, k) == pytest.approx(
        stats.studentized_range.ppf(0.95, k, np.inf), rel=1e-6
    )


def test_friedman() -> None:
    """Friedman's test is SciPy's, with and without ties; models that tie everywhere are alike."""
    draw = np.random.default_rng(0)
    for values in (draw.random((19, 6)), draw.integers(4, size=(12, 4)).astype(float)):
        peer = stats.friedmanchisquare(*values.T)
        assert friedman(values) == pytest.approx((peer.statistic, peer.pvalue), rel=1e-9)
    assert friedman(np.ones((5, 3))) == (0.0, 1.0)


def test_nemenyis_critical_difference() -> None:
    """Demšar's example: four classifiers on 14 data sets at 0.05 have the critical difference 1.25; bars join what lies
    nearer."""
    ranks = np.tile([4.0, 3.0, 2.0, 1.0], (14, 1))
    ranks[:5] = ranks[:5, [1, 0, 3, 2]]
    found = nemenyi(ranks)
    assert found.difference == pytest.approx(1.25, abs=0.005)
    assert found.mean_ranks == pytest.approx((1 + 5 / 14, 2 - 5 / 14, 3 + 5 / 14, 4 - 5 / 14))
    assert found.cliques == ((0, 1), (2, 3))


@pytest.mark.parametrize("differences", [[1.5, -0.3, 2.0, 0.7, -0.1], [1, 1, -1, 2, 2, 0, -2, 3], [0, 0], [0.1] * 9])
def test_signed_rank_by_brute_force(differences: list[float]) -> None:
    """The exact p counts the patterns of signs that are as extreme, of all there are."""
    kept = np.array([value for value in differences if value])
    ranks = stats.rankdata(np.abs(kept))
    centre = ranks.sum() / 2
    seen = abs(ranks[kept > 0].sum() - centre)
    patterns = itertools.product((0, 1), repeat=len(kept))
    extreme = [abs((ranks * signs).sum() - centre) >= seen - 1e-9 for signs in map(np.array, patterns)]
    assert signed_rank(np.array(differences)) == pytest.approx(np.mean(extreme))


def test_signed_rank_is_scipys() -> None:
    """Without ties the p is SciPy's exact one."""
    values = np.random.default_rng(0).normal(0.4, 1, 20)
    assert signed_rank(values) == pytest.approx(stats.wilcoxon(values, method="exact").pvalue)


def test_wilcoxon_holm() -> None:
    """A model that is best on all of 12 tasks is told from two that are alike."""
    draw = np.random.default_rng(0)
    alike = draw.random((12, 2))
    found = wilcoxon_holm(np.column_stack([alike.max(axis=1) + 0.1, alike]))
    assert found.cliques == ((1, 2),) or found.cliques == ((2, 1),)
    assert found.pairs[0][1] == pytest.approx(3 * 2 / 2**12)


def test_rank_intervals() -> None:
    """A clear leader is first in every resample; two models that differ by a sample share ranks 2 and 3."""
    n = 2_000
    rights = np.random.default_rng(0).random((n, 3)) < [0.9, 0.7, 0.7]
    rights[:, 2] = rights[:, 1]
    rights[:40, 1:] = np.arange(40)[:, None] % 2 == [0, 1]
    rights[0, 1] = rights[2, 1] = True
    rights[1, 2] = False
    found = rank_intervals([rights, rights[::-1]])
    assert (found[0].rank, found[0].low, found[0].high) == (1, 1, 1)
    assert {(one.low, one.high) for one in found[1:]} == {(2, 3)}


def test_alike_with_the_best() -> None:
    """A model that differs from the best by few samples, either way, is alike; one that lost forty is not."""
    rights = np.random.default_rng(0).random((1_000, 3)) < 0.8
    rights[:, 1] = rights[:, 2] = rights[:, 0]
    right = np.flatnonzero(rights[:, 0])
    rights[right[:3], 1] = rights[right[:40], 2] = False
    assert alike_with_best(rights) == alike_with_best(rights * 0.5) == (True, True, False)
    assert alike_with_best(rights[:, :1]) == (True,)


@pytest.mark.parametrize(
    ("n", "delta", "discordance"), [(10_000, 0.01, 0.08), (1_000, 0.02, 0.05), (5_000, 0.005, 0.03)]
)
def test_power_is_what_simulation_finds(n: int, delta: float, discordance: float) -> None:
    """The formula gives the share of simulated comparisons in which McNemar's p is below 0.05, to four points."""
    from ssl_bench.statistics import mcnemar

    shares = [(discordance - delta) / 2, (discordance + delta) / 2, 1 - discordance]
    drawn = np.random.default_rng(0).multinomial(n, shares, 3_000)
    found = np.mean([mcnemar(int(losses), int(wins)) < 0.05 for losses, wins, _ in drawn])
    assert power(delta, n, discordance) == pytest.approx(found, abs=0.04)


def test_detectable_and_needed_invert_power() -> None:
    """The detectable difference, and the needed samples, have the power that was asked for."""
    least = detectable(8_000, 0.05, alpha=0.0025)
    assert power(least, 8_000, 0.05, alpha=0.0025) == pytest.approx(0.8, abs=1e-6)
    n = needed(0.005, 0.03)
    assert power(0.005, n, 0.03) == pytest.approx(0.8, abs=1e-3)
    assert detectable_mean([0.03 / 5_000] * 20) == pytest.approx(2.8016 * math.sqrt(0.03 / 5_000 / 20), rel=1e-4)


def test_rank_intervals_of_means() -> None:
    """Of two normal means that lie 1, 2 or 3 standard errors of their difference apart, the worse is first in 16, 2.3
    or 0.1 % of draws: its interval holds the first rank where that is more than 2.5 %."""
    for apart, low in ((1.0, 1), (3.0, 2)):
        best, worse = rank_intervals_of_means([0.5 + 0.01 * apart * np.sqrt(2), 0.5], [0.01, 0.01])
        assert (best.rank, best.low, best.high) == (1, 1, 3 - low)
        assert (worse.rank, worse.low, worse.high) == (2, low, 2)


def test_bradley_terry_is_the_likeliest() -> None:
    """Strengths maximise the likelihood, as SciPy's optimiser finds it; two differ by the log odds of their wins."""
    first, second = bradley_terry([6.0, 2.0], 8)
    assert first - second == pytest.approx(math.log(3))
    draw = np.random.default_rng(0)
    wins = np.triu(draw.integers(0, 9, (6, 6)) / 1.0, 1) + 0.5
    wins = np.triu(wins, 1) + np.tril(9 - wins.T, -1)

    def unlikely(strengths: np.ndarray) -> float:
        apart = strengths[:, None] - strengths[None, :]
        return float((wins * np.logaddexp(0, -apart)).sum())

    found = optimize.minimize(unlikely, np.zeros(6), tol=1e-12).x
    assert bradley_terry(wins.sum(axis=1), 9) == pytest.approx(found - found.mean(), abs=1e-4)


@pytest.mark.parametrize("won", [[8.0, 0.0], [4.0], [16.0, 4.0, 4.0]])
def test_bradley_terry_of_winners_of_all(won: list[float]) -> None:
    """Who has won or lost everything has no finite strength."""
    with pytest.raises(ValueError, match="all or none"):
        bradley_terry(won, 8)

"""Paired tests: figures of SciPy and statsmodels, by brute force, and by simulated truth."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest
from scipy import stats

from ssl_bench.statistics import (
    bootstrapped,
    holm,
    mcnemar,
    of_correctness,
    of_means,
    of_seeds,
    of_seeds_and_items,
    p_of_errors,
    suite_mean,
    tango_interval,
    unpaired,
)


@pytest.mark.parametrize(("losses", "wins"), [(3, 10), (10, 3), (0, 4), (33, 27), (811, 499), (1, 0), (5000, 5100)])
def test_mcnemar_is_scipys_binomial(losses: int, wins: int) -> None:
    """The mid-p value is SciPy's exact binomial test's, less the chance of what was seen."""
    total, least = losses + wins, min(losses, wins)
    exact = stats.binomtest(least, total).pvalue
    assert mcnemar(losses, wins) == pytest.approx(exact - stats.binom.pmf(least, total, 0.5), rel=1e-9)


def test_mcnemar_where_nothing_speaks() -> None:
    """No discordant sample, and as many losses as wins, have a p of 1."""
    assert mcnemar(0, 0) == mcnemar(7, 7) == mcnemar(100_000, 100_000) == 1.0


def test_mcnemar_lies_between_statsmodels_two() -> None:
    """The mid-p value lies below statsmodels' exact p and above its uncorrected χ² p, where few samples speak."""
    tables = importlib.import_module("statsmodels.stats.contingency_tables")
    table = [[900, 12], [4, 84]]
    exact, rough = (tables.mcnemar(table, exact=kind, correction=False).pvalue for kind in (True, False))
    assert rough < mcnemar(12, 4) < exact


@pytest.mark.parametrize(
    ("losses", "wins", "n"), [(1, 9, 50), (0, 0, 200), (40, 10, 1000), (0, 5, 30), (499, 811, 26_032)]
)
def test_tango_inverts_the_score_test(losses: int, wins: int, n: int) -> None:
    """At both ends the score statistic, with the likelihood maximised by search, is 1.96; the estimate is inside."""
    low, high = tango_interval(losses, wins, n)
    assert low <= (wins - losses) / n <= high
    assert tango_interval(wins, losses, n) == pytest.approx((-high, -low), abs=1e-12)
    for end in (low, high):
        shares = np.linspace(max(0.0, -end) + 1e-9, (1 - end) / 2 - 1e-9, 400_001)  # share of losses given Δ
        likelihood = losses * np.log(shares) + wins * np.log(shares + end) if losses + wins else 0 * shares
        likelihood = likelihood + (n - losses - wins) * np.log1p(-2 * shares - end)
        share = shares[np.argmax(likelihood)]
        score = (wins - losses - n * end) / math.sqrt(n * (2 * share + end - end * end))
        assert abs(score) == pytest.approx(1.96, abs=2e-3)


def test_student_is_scipys() -> None:
    """Tests over samples and over seeds are SciPy's paired t-test, interval included."""
    draw = np.random.default_rng(0)
    base, cand = draw.normal(0, 1, (2, 40))
    peer = stats.ttest_rel(cand, base)
    interval = peer.confidence_interval(0.95)
    for found in (of_means(cand - base), of_seeds((cand - base).tolist())):
        assert found.p == pytest.approx(peer.pvalue, rel=1e-9)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_one_seed_says_nothing() -> None:
    """One seed has a p of 1 and no interval; equal differences of several seeds are certain."""
    one = of_seeds([0.05])
    assert (one.p, one.low, one.high) == (1.0, -math.inf, math.inf)
    assert of_seeds_and_items(np.ones((1, 50))).p == 1.0
    assert of_seeds([0.0, 0.0, 0.0]).p == 1.0
    assert of_seeds([0.01, 0.01, 0.01]).p == 0.0


def test_seeds_and_samples() -> None:
    """The p of several seeds is no lower than that by seed and that by sample; the variance is that of two-way analysis
    of variance."""
    draw = np.random.default_rng(0)
    for _ in range(20):
        values = 0.1 + draw.normal(size=(4, 1)) * 0.2 + draw.normal(size=30) * 0.3 + draw.normal(size=(4, 30))
        found = of_seeds_and_items(values)
        assert found.p >= max(of_seeds(values.mean(1).tolist()).p, of_means(values.mean(0)).p)
        mean_seed = 30 * values.mean(1).var(ddof=1)
        mean_item = 4 * values.mean(0).var(ddof=1)
        rest = ((values - values.mean(0) - values.mean(1)[:, None] + values.mean()) ** 2).sum() / (3 * 29)
        assert found.se**2 == pytest.approx((mean_item + max(0, mean_seed - rest)) / 120)


def test_bootstrap_of_a_mean() -> None:
    """On resamples of a mean, the bootstrap's p and interval are near the t-test's."""
    values = np.random.default_rng(0).normal(0.1, 1, 400)
    drawn = np.random.default_rng(1).choice(values, (20_000, 400)).mean(axis=1)
    found, peer = bootstrapped(drawn, float(values.mean()), 400), of_means(values)
    assert found.p == pytest.approx(peer.p, rel=0.1)
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=0.004)


def test_unpaired_is_the_z_test() -> None:
    """Two known standard errors give statsmodels' z-test of two proportions without pooling."""
    errors = [math.sqrt(p * (1 - p) / 1000) for p in (0.8, 0.77)]
    found = unpaired(0.8, errors[0], 0.77, errors[1])
    assert found.p == pytest.approx(2 * stats.norm.sf(0.03 / math.hypot(*errors)), rel=1e-9)
    proportion = importlib.import_module("statsmodels.stats.proportion")
    assert found.p == pytest.approx(
        proportion.test_proportions_2indep(770, 1000, 800, 1000, method="wald").pvalue, rel=1e-6
    )


def test_suite_mean() -> None:
    """The mean over tasks has the root of the summed variances, over T."""
    found = suite_mean([of_correctness(60, 40, 2_000), of_correctness(90, 30, 5_000)])
    errors = [math.sqrt(100 - 400 / 2_000) / 2_000, math.sqrt(120 - 3_600 / 5_000) / 5_000]
    assert found.delta == pytest.approx((-0.01 - 0.012) / 2)
    assert found.se == pytest.approx(math.hypot(*errors) / 2)
    assert found.p == pytest.approx(2 * stats.norm.sf(0.011 / found.se))


def test_holm() -> None:
    """Holm's correction is statsmodels', and by hand of 0.01, 0.04, 0.03: 0.03, 0.06, 0.06."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    multitest = importlib.import_module("statsmodels.stats.multitest")
    ps = np.random.default_rng(0).random(25) ** 3
    assert holm(ps.tolist()) == pytest.approx(multitest.multipletests(ps, method="holm")[1].tolist())


@pytest.mark.parametrize("differences", [(0.02,), (0.02, 0.03, 0.01), (0.02, -0.01, 0.004, 0.03), (0.02, 0.02, 0.02)])
def test_p_of_errors(differences: tuple[float, ...]) -> None:
    """Without samples, p is the largest by seed (Student), by sample (normal) and by both (Satterthwaite)."""
    mean, errors = np.mean(differences), (0.006, 0.008)
    ps = [2 * stats.norm.sf(mean / 0.01)]
    k = len(differences)
    if k > 1:
        se = np.std(differences, ddof=1) / np.sqrt(k)
        ps.append(stats.ttest_1samp(differences, 0).pvalue if se > 1e-12 else 0.0)
        both = np.hypot(0.01, se)
        ps.append(2 * stats.t.sf(mean / both, (k - 1) * (both / se) ** 4) if se > 1e-12 else ps[0])
    assert p_of_errors(differences, *errors) == pytest.approx(max(ps), rel=1e-6)

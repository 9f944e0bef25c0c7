"""Intervals: figures of scipy, and the ends of the range."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.stats import binomtest

from ssl_bench.statistics import bootstrap_interval, resampled_means, seeds_interval, wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (3, 7), (812, 1000), (9691, 10_000)])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_parity_with_scipy(successes: int, n: int, level: float) -> None:
    """Wilson's interval is scipy's binomtest(…).proportion_ci(method="wilson")."""
    peer = binomtest(successes, n).proportion_ci(level, method="wilson")
    assert wilson(successes, n, level) == pytest.approx((peer.low, peer.high), abs=1e-12)


def test_by_hand() -> None:
    """One of two at z = 1 (68.27 %): centre ½, half-width √(¼/2 + 1/16) / 1.5 = 0.288675."""
    low, high = wilson(1, 2, 0.682689492137086)
    assert (low, high) == pytest.approx((0.5 - 0.288675, 0.5 + 0.288675), abs=1e-6)


def test_no_samples() -> None:
    """Without samples the interval is everything."""
    assert wilson(0, 0) == (0.0, 1.0)


def test_seeds() -> None:
    """The interval over seeds is SciPy's for Student's t; one seed has none."""
    values = [0.71, 0.74, 0.70, 0.73]
    peer = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert seeds_interval(values) == pytest.approx(peer)
    assert seeds_interval([0.7]) == (-np.inf, np.inf)


@pytest.mark.parametrize(
    "values", [np.arange(300) % 7 < 4, np.random.default_rng(0).random(300), np.arange(6000.0) ** 2]
)
def test_resamples_are_the_bootstraps(values: np.ndarray) -> None:
    """Resampling by cells, and by Poisson counts of thousands of different rows, has the mean and the spread of drawing
    samples one by one."""
    drawn = resampled_means(values, 20_000)[:, 0]
    error = values.std() / np.sqrt(len(values))
    assert drawn.mean() == pytest.approx(values.mean(), abs=5 * error / np.sqrt(20_000))
    assert drawn.std() == pytest.approx(error, rel=0.03)


def test_resamples_are_shared() -> None:
    """Two equal columns have equal means in every resample, and the difference of two has the paired spread."""
    right = np.random.default_rng(0).random(1_000) < 0.8
    other = right.copy()
    other[:10] = ~other[:10]
    drawn = resampled_means(np.column_stack([right, right, other]), 5_000)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    paired = (other.astype(float) - right).std() / np.sqrt(1_000)
    assert (drawn[:, 2] - drawn[:, 0]).std() == pytest.approx(paired, rel=0.05)


def test_clusters_are_drawn_whole() -> None:
    """Ten copies of each of 50 images have the interval of 50 images, not of 500."""
    images = np.random.default_rng(0).random(50)
    copies, names = np.repeat(images, 10), np.repeat(np.arange(50), 10)
    low, high = bootstrap_interval(copies, clusters=names, resamples=4_000)
    assert (low, high) == pytest.approx(bootstrap_interval(images, resamples=4_000), abs=0.01)
    assert high - low > 2.5 * np.subtract(*bootstrap_interval(copies)[::-1])


def test_the_bootstrap_is_scipys_but_for_its_width() -> None:
    """The percentile interval is SciPy's, widened by √(n / (n−1)) · t / z."""
    values = np.random.default_rng(0).normal(size=40)
    peer = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    low, high = bootstrap_interval(values, resamples=20_000)
    widened = np.sqrt(40 / 39) * stats.t.ppf(0.975, 39) / stats.norm.ppf(0.975)
    assert (high - low) / (peer.high - peer.low) == pytest.approx(widened, rel=0.02)

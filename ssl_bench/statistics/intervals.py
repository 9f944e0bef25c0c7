"""Intervals for one number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from ssl_bench.statistics.distributions import NORMAL, t_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray


def wilson(successes: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a proportion `successes / n` (Wilson 1927, JASA 22:209).

    It stays inside 0..1 and keeps its coverage near the ends, where the normal interval does not. No sample at all
    (n = 0) leaves the whole of 0..1.
    """
    if n == 0:
        return 0.0, 1.0
    z = NORMAL.inv_cdf((1 + level) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def mean_interval(mean: float, deviation: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the normal interval for a mean of `n` values with this standard deviation, mean ± z · deviation / √n."""
    half = NORMAL.inv_cdf((1 + level) / 2) * deviation / math.sqrt(max(n, 1))
    return mean - half, mean + half


def seeds_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return Student's interval for the mean over seeds, mean ± t(k−1) · s / √k; infinite for one seed."""
    k = len(values)
    if k < 2:
        return -math.inf, math.inf
    half = t_quantile(level, k - 1) * stdev(values) / math.sqrt(k)
    return fmean(values) - half, fmean(values) + half


def bootstrap_interval(
    values: NDArray[Any],
    level: float = 0.95,
    *,
    resamples: int = 1000,
    clusters: NDArray[Any] | None = None,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the bootstrap interval for the mean of `values` (samples,), drawn by sample or by whole clusters.

    Percentiles are taken at Φ(∓ t(m−1) √(m / (m−1))) for m samples or clusters, which makes up for the bootstrap's
    too small variance (the expanded percentile interval; Hesterberg 2015, Am. Stat. 69:371).
    """
    from ssl_bench.statistics.resampling import resampled_means

    drawn = resampled_means(values, resamples, seed=seed, clusters=clusters)[:, 0]
    return expanded_percentiles(drawn, len(values) if clusters is None else len(set(clusters.tolist())), level)


def expanded_percentiles(drawn: NDArray[Any], units: int, level: float) -> tuple[float, float]:
    """Return the expanded percentile interval of resampled values that were drawn from `units` samples or clusters."""
    import numpy as np

    if units < 2:
        return -math.inf, math.inf
    tail = NORMAL.cdf(-t_quantile(level, units - 1) * math.sqrt(units / (units - 1)))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)

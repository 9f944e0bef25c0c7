"""Intervals and tests."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(successes: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a proportion `successes / n` (Wilson 1927, JASA 22:209).

    It stays inside 0..1 and keeps its coverage near the ends, where the normal interval does not. No sample at all
    (n = 0) leaves the whole of 0..1.
    """
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def mean_interval(mean: float, deviation: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return the normal interval for a mean of `n` values with this standard deviation, mean ± z · deviation / √n."""
    half = NormalDist().inv_cdf((1 + level) / 2) * deviation / math.sqrt(max(n, 1))
    return mean - half, mean + half

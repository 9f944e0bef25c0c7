"""Intervals: figures of scipy, and the ends of the range."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from ssl_bench.statistics import wilson


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

"""What a comparison can see before it is made.

Of n samples a share ψ is discordant: right on one side alone. McNemar's test of level α sees a difference Δ with power

    Φ((|Δ| √n − z_α √ψ) / √(ψ − Δ²))        (Connor 1987, Biometrics 43:207)

and a mean over T tasks has the standard error √(Σ ψ_t / n_t) / T. A difference needs as many discordant samples, so ψ
counts as |Δ| at least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ssl_bench.statistics.distributions import NORMAL


def power(delta: float, n: int, discordance: float, alpha: float = 0.05) -> float:
    """Return the chance that a two-sided test of level `alpha` sees a true difference `delta` (a fraction)."""
    delta = abs(delta)
    discordance = max(discordance, delta)
    spread = discordance - delta * delta
    surplus = delta * math.sqrt(n) - NORMAL.inv_cdf(1 - alpha / 2) * math.sqrt(discordance)
    if spread <= 0:
        return float(surplus > 0)
    return NORMAL.cdf(surplus / math.sqrt(spread))


def detectable(n: int, discordance: float, alpha: float = 0.05, target: float = 0.8) -> float:
    """Return the smallest true difference (a fraction) that is seen with power `target`; 1 where none is."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle, n, discordance, alpha) >= target else (middle, high)
    return high


def needed(delta: float, discordance: float, alpha: float = 0.05, target: float = 0.8) -> int:
    """Return how many samples show a true difference `delta` with power `target`."""
    delta = abs(delta)
    discordance = max(discordance, delta)
    spread = math.sqrt(max(0.0, discordance - delta * delta))
    reach = NORMAL.inv_cdf(1 - alpha / 2) * math.sqrt(discordance) + NORMAL.inv_cdf(target) * spread
    return math.ceil((reach / delta) ** 2)


def detectable_mean(variances: Sequence[float], alpha: float = 0.05, target: float = 0.8) -> float:
    """Return the smallest true mean difference over tasks that is seen, given each task's ψ / n."""
    se = math.sqrt(sum(variances)) / len(variances)
    return (NORMAL.inv_cdf(1 - alpha / 2) + NORMAL.inv_cdf(target)) * se

"""Two classifiers on the same samples: only the samples that one of them alone gets right tell them apart.

With b the losses (base alone right), c the wins (candidate alone right) and n samples, Δ = (c − b) / n.

    McNemar's mid-p    2 P(X < m) + P(X = m), X ~ Binomial(b + c, ½), m = min(b, c); 1 where b + c = 0
                       (Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13:91)
    Tango's interval   all Δ with |c − b − nΔ| ≤ z √(n (2q + Δ(1 − Δ))), q the likeliest share of losses given Δ
                       (Tango 1998, Stat. Med. 17:891)
"""

from __future__ import annotations

import math

from ssl_bench.statistics.distributions import normal_quantile


def mcnemar(losses: int, wins: int) -> float:
    """Return McNemar's two-sided mid-p value; 1 where no sample tells the two apart."""
    total, least = losses + wins, min(losses, wins)
    if total == 2 * least:
        return 1.0
    log_at = math.lgamma(total + 1) - math.lgamma(least + 1) - math.lgamma(total - least + 1) - total * math.log(2)
    term = math.exp(log_at)
    p = term
    for k in range(least, 0, -1):
        term *= k / (total - k + 1)
        p += 2 * term
        if term < p * 1e-17:
            break
    return min(1.0, p)


def tango_interval(losses: int, wins: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Tango's score interval for Δ, which covers as stated where few samples differ and never leaves -1..1."""
    if n == 0:
        return -1.0, 1.0
    z = normal_quantile(level)
    low = _crossing(losses, wins, n, z)
    return low, -_crossing(wins, losses, n, z)


def _crossing(losses: int, wins: int, n: int, z: float) -> float:
    """Return the lowest Δ that the score test does not reject, by bisection between -1 and the estimate."""
    below, above = -1.0, (wins - losses) / n
    for _ in range(45):
        middle = (below + above) / 2
        if _score(losses, wins, n, middle) > z:
            below = middle
        else:
            above = middle
    return above


def _score(losses: int, wins: int, n: int, delta: float) -> float:
    """Return Tango's score statistic at Δ = `delta`."""
    linear = -losses - wins + (2 * n - wins + losses) * delta
    constant = -losses * delta * (1 - delta)
    share = (math.sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * share + delta * (1 - delta))
    surplus = wins - losses - n * delta
    return surplus / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, surplus) if surplus else 0.0

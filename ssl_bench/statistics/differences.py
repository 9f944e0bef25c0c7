"""Is the candidate different from the base, by how much, and how sure: one `Difference` per way of asking.

Differences are candidate minus base. Over several seeds s and samples i, d_si = Δ + sample_i + seed_s + rest_si, and
both the samples and the seeds could have been others. With M_i the means over seeds and M_s those over samples,

    by sample   se²(M_i) = var(M_i) / n          by seed   se²(M_s) = var(M_s) / k
    both        se² = se²(M_i) + max(0, se²(M_s) − var(rest) / nk), since both of the former hold the rest

A test on the samples of one seed, or of all seeds pooled, takes a seed's luck for a difference: 0.5 points between
seeds give it 39 % false alarms. The p of several seeds is therefore the largest of the three.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.statistics.distributions import normal_two_sided, t_quantile, t_two_sided
from ssl_bench.statistics.intervals import expanded_percentiles
from ssl_bench.statistics.mcnemar import mcnemar, tango_interval


@dataclasses.dataclass(frozen=True)
class Difference:
    """A difference, its interval and the two-sided p-value of there being none."""

    delta: float
    low: float
    high: float
    p: float
    se: float
    df: float
    """Degrees of freedom behind `se`; infinite where it is known or its sample is large."""
    method: str


def of_correctness(losses: int, wins: int, n: int, level: float = 0.95) -> Difference:
    """Return the difference of two fractions of right samples, of which `losses` and `wins` are right on one side."""
    delta = (wins - losses) / n
    se = math.sqrt(max(0.0, losses + wins - (wins - losses) ** 2 / n)) / n
    low, high = tango_interval(losses, wins, n, level)
    return Difference(delta, min(low, delta), max(high, delta), mcnemar(losses, wins), se, math.inf, "McNemar mid-p")


def of_means(differences: NDArray[Any], level: float = 0.95) -> Difference:
    """Return the mean of paired differences (samples,) with Student's test."""
    n = len(differences)
    deviation = float(np.std(differences, ddof=1)) if n > 1 else math.inf
    return _of_t(float(np.mean(differences)), deviation / math.sqrt(n), n - 1, "paired t over samples", level)


def of_seeds(differences: Sequence[float], level: float = 0.95) -> Difference:
    """Return the mean of the differences of shared seeds with Student's test; one seed says nothing (p = 1)."""
    k = len(differences)
    deviation = stdev(differences) if k > 1 else math.inf
    return _of_t(fmean(differences), deviation / math.sqrt(k), k - 1, "paired t over seeds", level)


def of_seeds_and_items(differences: NDArray[Any], level: float = 0.95) -> Difference:
    """Return the mean of differences (seeds, samples) with the largest p of the tests by seed, by sample and by both.

    The interval is that of both, with Satterthwaite's degrees of freedom; that of samples where seeds add no variance.
    Over 3 to 10 seeds that differ by 0 to 0.5 points, and 500 to 26 000 samples, it holds the truth in 92.5 to 97.1 %.
    """
    k, n = differences.shape
    by_seed = of_seeds(differences.mean(axis=1).tolist(), level)
    by_item = of_means(differences.mean(axis=0), level)
    if k < 2:
        return dataclasses.replace(by_seed, method="one seed")
    rest = differences - differences.mean(axis=0) - differences.mean(axis=1, keepdims=True) + differences.mean()
    shared = float((rest**2).sum()) / max(1, (k - 1) * (n - 1)) / (n * k)
    own = max(0.0, by_seed.se**2 - shared)  # what seeds vary by on their own
    variance = by_item.se**2 + own
    df = variance**2 / (by_seed.se**4 / by_seed.df + by_item.se**4 / by_item.df) if own else by_item.df
    both = _of_t(by_seed.delta, math.sqrt(variance), df, "", level)
    p = max(by_seed.p, by_item.p, both.p)
    return dataclasses.replace(both, p=p, method=f"paired by {k} seeds and by sample")


def p_of_errors(differences: Sequence[float], base_se: float, cand_se: float) -> float:
    """Return the p-value of the mean of the differences of shared seeds, where samples cannot be paired and only the
    standard errors over samples are known: the largest by seed, by sample (unpaired) and by both.

    One difference is taken for one of which no seed matters.
    """
    k, delta, by_item = len(differences), fmean(differences), math.hypot(base_se, cand_se)
    if k == 1:
        return _p(delta, by_item, math.inf)
    by_seed = stdev(differences) / math.sqrt(k)
    both = math.hypot(by_item, by_seed)
    df = (k - 1) * (both / by_seed) ** 4 if by_seed else math.inf
    return max(_p(delta, by_seed, k - 1), _p(delta, by_item, math.inf), _p(delta, both, df))


def bootstrapped(drawn: NDArray[Any], delta: float, units: int, level: float = 0.95) -> Difference:
    """Return the difference `delta` of two values whose resampled differences are `drawn` (resamples,).

    The interval is the expanded percentile interval over `units` samples or clusters. The p-value divides `delta` by
    the resamples' deviation, since counting resamples beyond 0 cannot go below one in as many as there are.
    """
    low, high = expanded_percentiles(drawn, units, level)
    se = float(np.std(drawn)) * math.sqrt(units / max(1, units - 1))
    p = _p(delta, se, math.inf)
    return Difference(delta, min(low, delta), max(high, delta), p, se, math.inf, "paired bootstrap")


def unpaired(base: float, base_se: float, cand: float, cand_se: float, level: float = 0.95) -> Difference:
    """Return the difference of two values of which only the standard errors are known, as if on different samples.

    Where both come from the same samples this is far too careful: it sees a true point of 10 000 samples 37 % of the
    time, where a paired test sees it 94 % of the time.
    """
    return _of_t(cand - base, math.hypot(base_se, cand_se), math.inf, "unpaired", level)


def suite_mean(differences: Sequence[Difference], level: float = 0.95) -> Difference:
    """Return the mean of tasks' differences: Δ̄ and √(Σ se²) / T. It sees small shifts that no single task shows."""
    count = len(differences)
    se = math.sqrt(sum(one.se**2 for one in differences)) / count
    return _of_t(fmean(one.delta for one in differences), se, _satterthwaite(differences), "mean over tasks", level)


def _satterthwaite(parts: Sequence[Difference]) -> float:
    """Return the degrees of freedom of a sum of variances (Satterthwaite 1946, Biometrics Bull. 2:110)."""
    total = sum(one.se**2 for one in parts)
    below = sum(one.se**4 / one.df for one in parts if one.df > 0)
    return total**2 / below if below > 0 and math.isfinite(total) else math.inf


def _of_t(delta: float, se: float, df: float, method: str, level: float) -> Difference:
    if df < 1 or not math.isfinite(se):
        return Difference(delta, -math.inf, math.inf, 1.0, math.inf, 0.0, method)
    half = t_quantile(level, df) * se
    return Difference(delta, delta - half, delta + half, _p(delta, se, df), se, df, method)


def _p(delta: float, se: float, df: float) -> float:
    if se == 0:
        return 1.0 if delta == 0 else 0.0
    return normal_two_sided(delta / se) if math.isinf(df) else t_two_sided(delta / se, df)

"""Ranks of several models: how sure they are on these tasks, and which models the tasks cannot tell apart.

    rank interval         ranks of the means over tasks in bootstrap resamples of every task's samples, the same
                          samples for all models
    Friedman's test       χ² = (12 N / (k (k + 1)) · Σ (R_j − (k + 1) / 2)²) / (1 − ties), R_j the mean ranks of k
                          models on N tasks
    critical difference   q √(k (k + 1) / (6 N)), q the studentized range's quantile / √2: mean ranks that differ by
                          less are not told apart (Nemenyi; Demšar 2006, JMLR 7:1)
    Wilcoxon–Holm         signed-rank tests of all pairs, corrected by Holm, since mean ranks of two models depend on
                          which others are there (Benavoli, Corani and Mangili 2016, JMLR 17:5)

The first speaks of these tasks and other samples; the others take the tasks for a sample of tasks.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.statistics.corrections import holm
from ssl_bench.statistics.differences import of_means
from ssl_bench.statistics.distributions import chi2_above, studentized_range_quantile
from ssl_bench.statistics.mcnemar import mcnemar
from ssl_bench.statistics.resampling import Floats, resampled_means


@dataclasses.dataclass(frozen=True)
class RankInterval:
    """A model's rank, 1 for the best, and between which ranks it lies."""

    rank: int
    low: int
    high: int


@dataclasses.dataclass(frozen=True)
class CriticalDifference:
    """Which models some tasks can tell apart."""

    mean_ranks: tuple[float, ...]
    """One per model, as the models were given; 1 is best."""
    p: float
    """Friedman's test of all models being alike."""
    difference: float | None
    """Mean ranks that differ by less are alike, under Nemenyi; None where pairs were tested."""
    pairs: tuple[tuple[float, ...], ...]
    """Corrected p-values (models, models), where pairs were tested."""
    cliques: tuple[tuple[int, ...], ...]
    """The largest groups of models, neighbours by mean rank, none of which are told apart: bars of the diagram."""


def rank_intervals(
    outcomes: Sequence[NDArray[Any]], level: float = 0.95, *, resamples: int = 1000, seed: int = 0
) -> tuple[RankInterval, ...]:
    """Return the rank interval of every model; `outcomes` holds (samples, models) per task, higher is better."""
    values = np.mean([np.asarray(task, dtype=np.float64).mean(axis=0) for task in outcomes], axis=0)
    drawn = np.mean([resampled_means(task, resamples, seed=seed + i) for i, task in enumerate(outcomes)], axis=0)
    return _between(values, drawn, level)


def rank_intervals_of_means(
    values: Sequence[float], errors: Sequence[float], level: float = 0.95, *, resamples: int = 1000, seed: int = 0
) -> tuple[RankInterval, ...]:
    """Return the rank interval of every model of which only the mean over tasks, higher is better, and its standard
    error are known: normal, and as if every model had samples of its own. Where they share them, it is too wide."""
    means = np.asarray(values, dtype=np.float64)
    noise = np.random.default_rng(seed).standard_normal((resamples, len(means)))
    return _between(means, means + noise * np.asarray(errors, dtype=np.float64), level)


def _between(values: Floats, drawn: Floats, level: float) -> tuple[RankInterval, ...]:
    """Return the ranks of `values` (models,) and between which they lie in `drawn` (resamples, models)."""
    ranks = 1 + (drawn[:, None, :] > drawn[:, :, None]).sum(axis=2)  # (resamples, models)
    ends = np.quantile(ranks, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf").astype(int)
    places = 1 + (values[None, :] > values[:, None]).sum(axis=1)
    return tuple(
        RankInterval(int(place), min(int(low), int(place)), max(int(high), int(place)))
        for place, low, high in zip(places, *ends, strict=True)
    )


def friedman(values: NDArray[Any]) -> tuple[float, float]:
    """Return Friedman's χ², corrected for ties, and its p-value, for `values` (tasks, models), higher is better."""
    ranks = _ranks(values)
    tasks, models = ranks.shape
    ties = sum(float((counts**3 - counts).sum()) for counts in map(_tie_sizes, ranks)) / (tasks * (models**3 - models))
    if ties >= 1:
        return 0.0, 1.0
    spread = float(((ranks.mean(axis=0) - (models + 1) / 2) ** 2).sum())
    statistic = 12 * tasks / (models * (models + 1)) * spread / (1 - ties)
    return statistic, chi2_above(statistic, models - 1)


def nemenyi(values: NDArray[Any], alpha: float = 0.05) -> CriticalDifference:
    """Return which models (tasks, models) differ by Nemenyi's critical difference of mean ranks."""
    tasks, models = values.shape
    means = _ranks(values).mean(axis=0)
    quantile = studentized_range_quantile(1 - alpha, models) / math.sqrt(2)
    critical = quantile * math.sqrt(models * (models + 1) / (6 * tasks))
    alike = np.abs(means[:, None] - means[None, :]) < critical
    return CriticalDifference(tuple(means.tolist()), friedman(values)[1], critical, (), _cliques(means, alike))


def wilcoxon_holm(values: NDArray[Any], alpha: float = 0.05) -> CriticalDifference:
    """Return which models (tasks, models) differ by signed-rank tests of all pairs under Holm's correction."""
    models = values.shape[1]
    pairs = list(itertools.combinations(range(models), 2))
    adjusted = holm([signed_rank(values[:, i] - values[:, j]) for i, j in pairs])
    table = np.ones((models, models))
    for (i, j), p in zip(pairs, adjusted, strict=True):
        table[i, j] = table[j, i] = p
    means = _ranks(values).mean(axis=0)
    return CriticalDifference(
        tuple(means.tolist()),
        friedman(values)[1],
        None,
        tuple(map(tuple, table.tolist())),
        _cliques(means, table >= alpha),
    )


def signed_rank(differences: NDArray[Any]) -> float:
    """Return the exact two-sided p-value of Wilcoxon's signed-rank test, ties included; zeros are left out.

    Every pattern of signs is as likely as any other; how many give each sum of (doubled, so whole) ranks is counted.
    """
    kept = np.asarray(differences, dtype=np.float64)
    kept = kept[kept != 0]
    doubled = np.round(2 * _rank_row(np.abs(kept))).astype(int)
    counts = np.ones(1)
    for rank in doubled.tolist():
        grown = np.zeros(len(counts) + rank)
        grown[: len(counts)] += counts / 2
        grown[rank:] += counts / 2
        counts = grown
    observed = int(doubled[kept > 0].sum())
    least = min(observed, int(doubled.sum()) - observed)
    return min(1.0, 2 * float(counts[: least + 1].sum()))


def _ranks(values: NDArray[Any]) -> Floats:
    """Return ranks within each task, 1 for the highest; equal values share the middle of their ranks."""
    return np.array([_rank_row(-np.asarray(row, dtype=np.float64)) for row in values])


def _rank_row(row: Floats) -> Floats:
    _, place, counts = np.unique(row, return_inverse=True, return_counts=True)
    middles: Floats = counts.cumsum() - (counts - 1) / 2
    return middles[place]


def _tie_sizes(ranks: Floats) -> NDArray[np.int64]:
    return np.unique(ranks, return_counts=True)[1]


def _cliques(means: Floats, alike: NDArray[np.bool_]) -> tuple[tuple[int, ...], ...]:
    """Return the longest runs of models, in order of mean rank, in which every pair is alike; of two and more."""
    order = np.argsort(means, kind="stable").tolist()
    runs: list[tuple[int, ...]] = []
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and all(alike[order[end], other] for other in order[start:end]):
            end += 1
        if end - start > 1 and not (runs and set(order[start:end]) <= set(runs[-1])):
            runs.append(tuple(order[start:end]))
    return tuple(runs)


def alike_with_best(outcomes: NDArray[Any], alpha: float = 0.05) -> tuple[bool, ...]:
    """Return, for every model of `outcomes` (samples, models), higher is better, whether a paired test, corrected by
    Holm for all models, fails to tell it from the one with the highest mean. The best is alike with itself."""
    values = np.asarray(outcomes, dtype=np.float64)
    best = int(values.mean(axis=0).argmax())
    others = [model for model in range(values.shape[1]) if model != best]
    binary = bool(np.isin(values, (0, 1)).all())
    ps = []
    for model in others:
        change = values[:, model] - values[:, best]
        ps.append(mcnemar(int((change < 0).sum()), int((change > 0).sum())) if binary else of_means(change).p)
    kept = {model for model, p in zip(others, holm(ps), strict=True) if p >= alpha}
    return tuple(model == best or model in kept for model in range(values.shape[1]))

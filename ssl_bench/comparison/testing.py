"""One pair of answers to one question: how far apart they are, and on which samples.

Predictions with the digest that the other side's have are equal without being read. Where predictions are missing,
what the records alone say is used, and marked: two intervals, as if of different samples.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from statistics import fmean
from typing import Any

import numpy as np

from ssl_bench import metrics
from ssl_bench.comparison import alignment, resampled
from ssl_bench.comparison.matching import Pair
from ssl_bench.results import predicted, seeds
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.statistics import (
    Difference,
    bootstrapped,
    of_correctness,
    of_means,
    of_seeds,
    of_seeds_and_items,
    unpaired,
)
from ssl_bench.statistics.distributions import normal_quantile

Samples = Callable[[Record], Table | None]
MOST_FLIPS = 200
ABSENT = (
    "per-sample predictions are not at hand, so the interval is unpaired and no verdict is given; name the results "
    "that hold them with --samples-from, or run the jobs again"
)
"""What is said of pairs whose predictions are missing."""


@dataclasses.dataclass(frozen=True)
class Flip:
    """A sample that the two sides answer differently."""

    sample: str
    target: int
    base: int
    cand: int
    seed: int


@dataclasses.dataclass(frozen=True)
class Tested:
    """What the test of a pair found."""

    difference: Difference
    paired: bool
    """False where samples could not be put beside each other."""
    enough: bool = True
    """False where the data allow no verdict: too few seeds to tell a difference from luck, or no samples to pair."""
    identical: bool = False
    """True where both sides gave the same answer to every sample."""
    losses: int | None = None
    wins: int | None = None
    """Samples that base, or the candidate, alone gets right; over all seeds."""
    flipped: int | None = None
    """Samples whose answer changed, right or wrong."""
    answered: int = 0
    """Samples that `flipped` is of: all, times the seeds."""
    flips: tuple[Flip, ...] = ()
    """Losses first, then wins, then other changes; a few hundred at most."""
    notes: tuple[str, ...] = ()


def tell_apart(
    pair: Pair, base_samples: Samples, cand_samples: Samples, *, level: float = 0.95, conditional: bool = False
) -> Tested:
    """Return what tells the candidate from base.

    Where the seed matters, three shared ones are needed; `conditional` takes fewer for all the luck there is.
    Raises IncomparableError where samples or labels differ, UsageError where predictions are not those of the record.
    """
    luck = any(seeds.matters(record) for record in (pair.base[0], pair.cand[0]))
    if not luck:
        pair = Pair(pair.base[:1], pair.cand[:1])  # further seeds repeat the first
    if all(a.samples.sha256 == b.samples.sha256 for a, b in zip(pair.base, pair.cand, strict=True)):
        return _identical(pair, level)
    tables = [_tables(a, b, base_samples, cand_samples) for a, b in zip(pair.base, pair.cand, strict=True)]
    stochastic = luck and not conditional
    found = [table for table in tables if table is not None]
    if len(found) < len(tables):
        return _without_samples(pair, level, stochastic)
    tested = _by_units(pair, found, level, stochastic) or _by_resampling(pair, found, level, stochastic)
    return tested or _without_samples(pair, level, stochastic, why="this metric has no named samples to pair")


def standard_error(record: Record) -> float:
    """Return the standard error that a record's interval implies; infinite where there is none."""
    interval = record.headline.interval
    return (interval.high - interval.low) / (2 * normal_quantile(interval.level)) if interval else math.inf


def _identical(pair: Pair, level: float) -> Tested:
    n = pair.base[0].headline.n
    return Tested(
        dataclasses.replace(of_correctness(0, 0, n, level), method="identical predictions"),
        paired=True,
        identical=True,
        losses=0,
        wins=0,
        flipped=0,
        answered=n * len(pair.base),
    )


def _tables(base: Record, cand: Record, base_samples: Samples, cand_samples: Samples) -> tuple[Table, Table] | None:
    left, right = base_samples(base), cand_samples(cand)
    if left is None or right is None:
        return None
    if not (alignment.paired(left) and alignment.paired(right)):
        return left, right
    where = f"{cand.model.name} · {cand.task.name} · {cand.protocol.name} · seed {cand.seed}"
    return alignment.align(left, right, where)


def _by_units(pair: Pair, tables: list[tuple[Table, Table]], level: float, stochastic: bool) -> Tested | None:
    """Return the test on what every sample gives; None where the metric is no mean over samples."""
    if not all(alignment.paired(left) for left, _ in tables):
        return None
    rows, losses, wins, two_valued = [], 0, 0, True
    for base, cand, (left, right) in zip(pair.base, pair.cand, tables, strict=True):
        mine, theirs = predicted.units(base, left), predicted.units(cand, right)
        if mine is None or theirs is None or len(mine) != len(theirs):
            return None
        rows.append(theirs - mine)
        two_valued &= bool(np.isin(mine, (0, 1)).all() and np.isin(theirs, (0, 1)).all())
        losses, wins = losses + int((mine > theirs).sum()), wins + int((theirs > mine).sum())
    enough = not stochastic or len(rows) >= 3
    if stochastic and enough:
        difference = of_seeds_and_items(np.array(rows), level)
    elif two_valued and len(rows) == 1:
        difference = of_correctness(losses, wins, len(rows[0]), level)
    else:
        difference = of_means(np.mean(rows, axis=0), level)
    changes = _changes(pair, tables)
    same = changes.get("flipped") == 0 and not any(row.any() for row in rows)
    return Tested(difference, True, enough, identical=same, losses=losses, wins=wins, **changes)


def _by_resampling(pair: Pair, tables: list[tuple[Table, Table]], level: float, stochastic: bool) -> Tested | None:
    """Return the test on resamples that both sides share; None where samples have no names or no metric applies."""
    name = pair.base[0].task.metric
    metric = metrics.get(name)
    if (metric.number or metric.weighted) is None or not all(alignment.paired(left) for left, _ in tables):
        return None
    drawn = []
    for base, cand, (left, right) in zip(pair.base, pair.cand, tables, strict=True):
        mine, theirs = predicted.rebuilt(base, left), predicted.rebuilt(cand, right)
        if mine is None or theirs is None:
            return None
        found = resampled.differences(name, mine[0], theirs[0], mine[1])
        if found is None:
            return None
        drawn.append(found)
    values = [b.headline.value - a.headline.value for a, b in zip(pair.base, pair.cand, strict=True)]
    by_sample = bootstrapped(np.mean(drawn, axis=0), fmean(values), pair.base[0].headline.n, level)
    enough = not stochastic or len(values) >= 3
    difference = _with_seeds(by_sample, of_seeds(values, level)) if stochastic and enough else by_sample
    return Tested(difference, True, enough, **_changes(pair, tables))


def _with_seeds(by_sample: Difference, by_seed: Difference) -> Difference:
    """Return the wider of two intervals of one difference, and the larger p."""
    wider = max((by_sample, by_seed), key=lambda one: one.high - one.low)
    return dataclasses.replace(wider, p=max(by_sample.p, by_seed.p), method="paired bootstrap, and paired by seeds")


def _without_samples(pair: Pair, level: float, stochastic: bool, why: str = "") -> Tested:
    """Return what the values and intervals of the records alone say."""
    base, cand = ([record.headline.value for record in side] for side in (pair.base, pair.cand))
    if stochastic and len(base) >= 3 and why:
        by_seed = of_seeds([b - a for a, b in zip(base, cand, strict=True)], level)
        return Tested(by_seed, True, notes=(f"{why}: tested over seeds alone",))
    errors = [max(map(standard_error, side)) for side in (pair.base, pair.cand)]
    difference = unpaired(fmean(base), errors[0], fmean(cand), errors[1], level)
    return Tested(difference, False, enough=False, notes=(why or ABSENT,))


def _changes(pair: Pair, tables: list[tuple[Table, Table]]) -> dict[str, Any]:
    """Return how many answers changed, and some of the samples; clusters bear no names, so theirs cannot change."""
    flips: list[tuple[int, Flip]] = []
    flipped = answered = 0
    for base, (left, right) in zip(pair.base, tables, strict=True):
        mine, theirs = alignment.answers(left), alignment.answers(right)
        if mine is None or theirs is None or "cluster" in left:
            return {}
        changed = np.flatnonzero(mine != theirs)
        flipped, answered = flipped + len(changed), answered + len(mine)
        names, targets = alignment.names_of(left), left["target"]
        order = np.where(mine == targets, 0, np.where(theirs == targets, 1, 2))
        for row in changed[np.argsort(order[changed], kind="stable")][:MOST_FLIPS].tolist():
            one = Flip(names[row], int(targets[row]), int(mine[row]), int(theirs[row]), base.seed)
            flips.append((int(order[row]), one))
    flips.sort(key=lambda item: item[0])
    return {"flipped": flipped, "answered": answered, "flips": tuple(flip for _, flip in flips[:MOST_FLIPS])}

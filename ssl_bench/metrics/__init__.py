"""Scores of predictions. Every metric says its unit, direction, range and chance; none is ever guessed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError, did_you_mean

Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A named score of ranked class predictions."""

    name: str
    score: Callable[[Ints, Ints, int], float]
    """(ranked (samples, k), targets (samples,), classes) → value."""
    chance: Callable[[int], float]
    """classes → what uniform guessing gives."""
    proportion: bool
    """True: a mean of independent 0/1 outcomes per sample, so that a binomial interval holds."""
    unit: str = "fraction"
    higher_is_better: bool = True
    low: float = 0.0
    high: float = 1.0


def top1(ranked: Ints, targets: Ints, classes: int) -> float:
    """Return the fraction of samples whose first class is the target."""
    return float((ranked[:, 0] == targets).mean())


def top5(ranked: Ints, targets: Ints, classes: int) -> float:
    """Return the fraction of samples whose target is among the first five classes, or as many as are ranked."""
    return float((ranked[:, :5] == targets[:, None]).any(axis=1).mean())


def mean_per_class(ranked: Ints, targets: Ints, classes: int) -> float:
    """Return the mean over the classes present in the targets of the fraction of their samples predicted right."""
    right = np.bincount(targets[ranked[:, 0] == targets], minlength=classes)
    counts = np.bincount(targets, minlength=classes)
    present = counts > 0
    return float((right[present] / counts[present]).mean())


METRICS = {
    metric.name: metric
    for metric in (
        Metric("top1", top1, lambda classes: 1 / classes, proportion=True),
        Metric("top5", top5, lambda classes: min(5, classes) / classes, proportion=True),
        Metric("mean_per_class", mean_per_class, lambda classes: 1 / classes, proportion=False),
    )
}


def get(name: str) -> Metric:
    """Return the metric called `name`; raise UsageError that names the nearest known ones."""
    if name not in METRICS:
        raise UsageError(f"no metric is called {name!r}.{did_you_mean(name, METRICS)} Known: {', '.join(METRICS)}")
    return METRICS[name]

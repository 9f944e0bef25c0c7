"""Metrics that are no mean over samples: their values in bootstrap resamples that base and candidate share.

Where a metric depends on counts alone, resamples are counts: of (class, base right, candidate right) for the mean over
classes, and a weight per sample for areas under curves, whose order is sorted once, and for metrics that say themselves
what weights make of them. Others are computed anew on every resample.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import metrics
from ssl_bench.predictions import Classes, Clusters, Multilabel, Predictions, Truth
from ssl_bench.statistics import poisson_counts, resampled_cells

Floats = NDArray[np.float64]
Weights = NDArray[np.float32]
RESAMPLES = 10_000
WEIGHTED = 1_000
"""Resamples where every sample has its own weight."""
GATHERED = 300
"""Resamples where the metric is computed anew."""


def differences(metric: str, base: Predictions, cand: Predictions, truth: Truth) -> Floats | None:
    """Return the candidate's value minus base's in each resample, (resamples,); None for kinds that have no samples.

    Every call draws the same samples for one size of test set, so that seeds share them too.
    """
    generator = np.random.default_rng(0)
    if metric == "mean_per_class" and isinstance(base, Classes) and isinstance(cand, Classes):
        return _mean_per_class(base.ranked[:, 0], cand.ranked[:, 0], truth.targets, generator)
    of_weights = _weighted(metric)
    if of_weights is not None:
        value, other = of_weights(base, truth), of_weights(cand, truth)
        blocks = poisson_counts(len(truth.targets), WEIGHTED, generator)
        return np.concatenate([other(block) - value(block) for block in blocks])
    chosen = metrics.get(metric)
    if chosen.weighted is not None:
        counts = resampled_cells(np.ones(len(truth.targets)), WEIGHTED, generator)
        found = chosen.weighted(cand, truth, counts) - chosen.weighted(base, truth, counts)
        return found[np.isfinite(found)]
    if base.asked is None or chosen.number is None:
        return None
    return _gathered(metric, base, cand, truth, generator)


def _mean_per_class(
    base: NDArray[Any], cand: NDArray[Any], targets: NDArray[Any], generator: np.random.Generator
) -> Floats:
    present, labels = np.unique(targets, return_inverse=True)
    cells = np.bincount(4 * labels + 2 * (base == targets) + (cand == targets), minlength=4 * len(present))
    there = cells > 0  # most cells of many classes are empty, and cost as much as full ones
    counts = np.zeros((RESAMPLES, len(cells)))
    counts[:, there] = resampled_cells(cells[there], RESAMPLES, generator)
    cube = counts.reshape(RESAMPLES, len(present), 4)  # neither right, candidate, base, both
    sizes = cube.sum(axis=2)
    surplus = (cube[:, :, 1] - cube[:, :, 2]) / np.maximum(sizes, 1)
    means: Floats = surplus.sum(axis=1) / (sizes > 0).sum(axis=1)
    return means


OfWeights = Callable[[Any, Truth], Callable[[Weights], Floats]]


def _weighted(metric: str) -> OfWeights | None:
    """Return what sorts a side's scores once and then gives its values under blocks of weights (resamples, samples)."""
    known: dict[str, OfWeights] = {
        "roc_auc": _roc_auc,
        "mean_average_precision": _average_precision,
        "voc07_map": _voc07,
    }
    return known.get(metric)


def _roc_auc(said: Classes, truth: Truth) -> Callable[[Weights], Floats]:
    assert said.scores is not None
    targets = truth.targets
    if truth.classes == 2:
        curves = [_Area(said.scores[:, 1] - said.scores[:, 0], targets == 1)]
    else:
        curves = [_Area(said.scores[:, label], targets == label) for label in np.unique(targets)]
    return lambda weights: np.mean([curve(weights) for curve in curves], axis=0)


class _Area:
    """The area under a ROC curve as a function of the samples' weights; equal scores count half."""

    def __init__(self, scores: NDArray[Any], positive: NDArray[np.bool_]) -> None:
        self.order = np.argsort(scores, kind="stable")
        ordered = scores[self.order]
        self.starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        self.positive = positive[self.order].astype(np.float32)

    def __call__(self, weights: Weights) -> Floats:
        ordered = weights[:, self.order].astype(np.float64)
        ups = np.add.reduceat(ordered * self.positive, self.starts, axis=1)
        downs = np.add.reduceat(ordered * (1 - self.positive), self.starts, axis=1)
        below = np.cumsum(downs, axis=1) - downs / 2
        pairs = ups.sum(axis=1) * downs.sum(axis=1)
        area: Floats = (ups * below).sum(axis=1) / np.maximum(pairs, 1)
        return area


def _average_precision(said: Multilabel, truth: Truth) -> Callable[[Weights], Floats]:
    return _mean_of_curves(said, truth, lambda precision, grown, recall: (precision * grown).sum(axis=1))


def _voc07(said: Multilabel, truth: Truth) -> Callable[[Weights], Floats]:
    return _mean_of_curves(said, truth, lambda precision, grown, recall: _eleven_points(precision, recall))


def _eleven_points(precision: Floats, recall: Floats) -> Floats:
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    rows = np.arange(len(best))
    total = np.zeros(len(best))
    for point in range(11):
        first = (recall >= point / 10 - 1e-12).argmax(axis=1)
        total += np.where(recall[rows, first] >= point / 10 - 1e-12, best[rows, first], 0.0)
    return total / 11


def _mean_of_curves(
    said: Multilabel, truth: Truth, area: Callable[[Floats, Floats, Floats], Floats]
) -> Callable[[Weights], Floats]:
    clear = [np.flatnonzero(column >= 0) for column in truth.targets.T]
    classes = [label for label, rows in enumerate(clear) if (truth.targets[rows, label] > 0).any()]
    curves = [_Curve(said.scores[:, c], truth.targets[:, c] > 0, clear[c]) for c in classes]

    def value(weights: Weights) -> Floats:
        means: Floats = np.mean([area(*curve(weights)) for curve in curves], axis=0)
        return means

    return value


@dataclasses.dataclass(frozen=True, eq=False)
class _Curve:
    """Precision, growth of recall, and recall at every threshold, as functions of the samples' weights."""

    scores: NDArray[Any]
    holds: NDArray[np.bool_]
    rows: NDArray[np.int64]

    def __post_init__(self) -> None:
        order = self.rows[np.argsort(-self.scores[self.rows], kind="stable")]
        ordered = self.scores[order]
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "starts", np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])))

    order: NDArray[np.int64] = dataclasses.field(init=False)
    starts: NDArray[np.int64] = dataclasses.field(init=False)

    def __call__(self, weights: Weights) -> tuple[Floats, Floats, Floats]:
        ordered = weights[:, self.order].astype(np.float64)
        all_of = np.add.reduceat(ordered, self.starts, axis=1)
        found = np.add.reduceat(ordered * self.holds[self.order], self.starts, axis=1)
        total = np.maximum(found.sum(axis=1, keepdims=True), 1e-9)
        precision = np.cumsum(found, axis=1) / np.maximum(np.cumsum(all_of, axis=1), 1e-9)
        return precision, found / total, np.cumsum(found, axis=1) / total


def _gathered(
    metric: str, base: Predictions, cand: Predictions, truth: Truth, generator: np.random.Generator
) -> Floats:
    number = metrics.get(metric).number
    assert number is not None
    n = len(truth.targets)
    found = []
    for _ in range(GATHERED):
        rows = generator.integers(n, size=n)
        drawn = Truth({"test": truth.targets[rows]}, truth.classes)
        found.append(number(_rows(cand, rows), drawn) - number(_rows(base, rows), drawn))
    return np.array(found)


def _rows(said: Predictions, rows: NDArray[np.int64]) -> Predictions:
    """Return predictions of some samples."""
    if isinstance(said, Clusters):
        return Clusters(said.assigned[rows])
    assert isinstance(said, Classes)
    return dataclasses.replace(said, ranked=said.ranked[rows], confidence=said.confidence[rows])

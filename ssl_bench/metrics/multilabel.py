"""Scores of predictions in which any number of classes may hold of a sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.metrics.base import Metric
from ssl_bench.metrics.classes import roc_area
from ssl_bench.predictions import Multilabel, Truth

Area = Callable[[NDArray[np.float64], NDArray[np.float64]], float]
"""(precision, recall) at every threshold, from the highest down, to the area that they span."""


def mean_average_precision(predictions: Multilabel, truth: Truth) -> float:
    """Return the mean over classes of Σ precision · (growth of recall), the area under the steps of the curve.

    It is scikit-learn's average_precision_score with average="macro" and, but for its interpolation, VOC's since 2010.
    """
    return _mean_over_classes(predictions, truth, _under_steps)


def voc07_map(predictions: Multilabel, truth: Truth) -> float:
    """Return VOC2007's mean over classes of the 11-point average precision (Everingham et al., IJCV 2010, eq. 1 and 2):
    the mean over recalls r of 0, 0.1, … 1 of the highest precision at a recall of r or more."""
    return _mean_over_classes(predictions, truth, _at_eleven_points)


def mean_roc_auc(predictions: Multilabel, truth: Truth) -> float:
    """Return the mean over classes of the area under the ROC curve: the share of pairs of a sample of which the class
    holds and one of which it does not in which the first scores higher, equal scores counting half.

    It is scikit-learn's roc_auc_score with average="macro". Classes that hold of no sample, or of every one, do not
    count; raises DataError where none is left.
    """
    areas = []
    for scores, targets in zip(predictions.scores.T, truth.targets.T, strict=True):
        clear = targets >= 0
        holds = targets[clear] > 0
        if holds.any() and not holds.all():
            areas.append(roc_area(scores[clear].astype(np.float64), holds))
    if not areas:
        raise DataError("mean_roc_auc: every class holds of all test samples or of none, so there is no pair to order")
    return float(np.mean(areas))


def _mean_over_classes(predictions: Multilabel, truth: Truth, area: Area) -> float:
    """Return the mean over the classes that hold of a sample; samples that are too hard to say are left out of a class.

    Raises DataError where no class holds of any.
    """
    areas = []
    for scores, targets in zip(predictions.scores.T, truth.targets.T, strict=True):
        clear = targets >= 0
        if (targets[clear] > 0).any():
            areas.append(area(*_curve(scores[clear], targets[clear] > 0)))
    if not areas:
        raise DataError("no class holds of any test sample, so there is no precision to average")
    return float(np.mean(areas))


def _curve(scores: NDArray[np.float32], holds: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return precision and recall at every threshold from the highest score down; equal scores pass it together."""
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(holds[order])
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    return found[last] / (last + 1), found[last] / holds.sum()


def _under_steps(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    return float((precision * np.diff(recall, prepend=0.0)).sum())


def _at_eleven_points(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    best = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(recall, np.arange(11) / 10 - 1e-12)  # a recall of 0.3 counts for r = 0.3
    return float(best[reached].sum() / 11)


METRICS = (
    Metric("mean_average_precision", "multilabel", lambda classes: None, number=mean_average_precision),
    Metric("voc07_map", "multilabel", lambda classes: None, number=voc07_map),
    Metric("mean_roc_auc", "multilabel", lambda classes: 0.5, number=mean_roc_auc),
)

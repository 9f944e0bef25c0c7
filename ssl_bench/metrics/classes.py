"""Scores of predicted classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Classes, Truth

BINS = 15
"""Of equal width, between confidences of 0 and 1: Guo et al., On Calibration of Modern Neural Networks, 2017."""


def top1(predictions: Classes, truth: Truth) -> NDArray[np.bool_]:
    """Return whether each sample's first class is the target, or among its targets where it has several."""
    return _right(predictions.ranked[:, :1], truth)


def top5(predictions: Classes, truth: Truth) -> NDArray[np.bool_]:
    """Return whether a target is among each sample's first five classes, or as many as are ranked."""
    return _right(predictions.ranked[:, :5], truth)


def _right(ranked: NDArray[np.int64], truth: Truth) -> NDArray[np.bool_]:
    """Return whether any of each sample's classes (samples, ranked) is a target; targets below 0 are none."""
    targets = truth.targets.reshape(len(ranked), -1)
    right: NDArray[np.bool_] = (ranked[:, :, None] == targets[:, None, :]).any(axis=(1, 2))
    return right


def mean_per_class(predictions: Classes, truth: Truth) -> float:
    """Return the mean over the classes present in the targets of the fraction of their samples predicted right."""
    targets = truth.targets
    right = np.bincount(targets[predictions.ranked[:, 0] == targets], minlength=truth.classes)
    counts = np.bincount(targets, minlength=truth.classes)
    present = counts > 0
    return float((right[present] / counts[present]).mean())


def ece(predictions: Classes, truth: Truth) -> float:
    """Return the expected calibration error of the first class: Σ_b n_b/n · |share right in b − mean confidence in b|.

    Bins hold their upper edge, as in the code of Guo et al. (gpleiss/temperature_scaling).
    """
    confidence = predictions.confidence.astype(np.float64)
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    surplus = top1(predictions, truth) - confidence
    return float(np.abs(np.bincount(bins, surplus, minlength=BINS)).sum() / len(confidence))


def roc_auc(predictions: Classes, truth: Truth) -> float:
    """Return the area under the ROC curve: for two classes, of the second; for more, the mean over classes of one
    against the rest. Classes that no target or every target has do not count.

    The area is the share of pairs of a sample of the class and one of another in which the first scores higher; equal
    scores count half (Hanley and McNeil 1982). Raises DataError where every target is of one class.
    """
    assert predictions.scores is not None
    scores, targets = predictions.scores.astype(np.float64), truth.targets
    if len(np.unique(targets)) < 2:
        raise DataError("roc_auc: every test sample is of one class, so there is no pair to order")
    if truth.classes == 2:
        return roc_area(scores[:, 1] - scores[:, 0], targets == 1)
    return float(np.mean([roc_area(scores[:, label], targets == label) for label in np.unique(targets)]))


def roc_area(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve of scores (samples,), by the sum of the positives' ranks from 1."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts - 1) / 2)[place]  # equal scores share the middle of their ranks
    positives = int(positive.sum())
    pairs = positives * (len(scores) - positives)
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / pairs)


METRICS = (
    Metric("top1", "classes", lambda classes: 1 / classes, outcomes=top1, interval="wilson"),
    Metric("top5", "classes", lambda classes: min(5, classes) / classes, outcomes=top5, interval="wilson"),
    Metric("mean_per_class", "classes", lambda classes: 1 / classes, number=mean_per_class),
    Metric(
        "ece",
        "classes",
        lambda classes: None,
        number=ece,
        higher_is_better=False,
        applies=lambda predictions, truth: predictions.probability,
    ),
    Metric(
        "roc_auc",
        "classes",
        lambda classes: 0.5,
        number=roc_auc,
        applies=lambda predictions, truth: predictions.scores is not None,
        every_score=True,
    ),
)

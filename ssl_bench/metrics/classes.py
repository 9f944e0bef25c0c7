"""Scores of predicted classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Classes, Truth


def top1(predictions: Classes, truth: Truth) -> NDArray[np.bool_]:
    """Return whether each sample's first class is the target."""
    right: NDArray[np.bool_] = predictions.ranked[:, 0] == truth.targets
    return right


def top5(predictions: Classes, truth: Truth) -> NDArray[np.bool_]:
    """Return whether the target is among each sample's first five classes, or as many as are ranked."""
    found: NDArray[np.bool_] = (predictions.ranked[:, :5] == truth.targets[:, None]).any(axis=1)
    return found


def mean_per_class(predictions: Classes, truth: Truth) -> float:
    """Return the mean over the classes present in the targets of the fraction of their samples predicted right."""
    targets = truth.targets
    right = np.bincount(targets[predictions.ranked[:, 0] == targets], minlength=truth.classes)
    counts = np.bincount(targets, minlength=truth.classes)
    present = counts > 0
    return float((right[present] / counts[present]).mean())


METRICS = (
    Metric("top1", "classes", lambda classes: 1 / classes, outcomes=top1, interval="wilson"),
    Metric("top5", "classes", lambda classes: min(5, classes) / classes, outcomes=top5, interval="wilson"),
    Metric("mean_per_class", "classes", lambda classes: 1 / classes, number=mean_per_class),
)

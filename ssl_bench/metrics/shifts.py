"""Scores of one classifier on several shifted test sets."""

from __future__ import annotations

import numpy as np

from ssl_bench.metrics import classes
from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Shifted, Truth


def accuracies(predictions: Shifted, truth: Truth) -> dict[str, float]:
    """Return each set's top-1."""
    return {name: float(classes.top1(part, truth.of(name)).mean()) for name, part in predictions.sets.items()}


def shift_top1(predictions: Shifted, truth: Truth) -> float:
    """Return the mean over the sets of their top-1, however many samples each has."""
    return float(np.mean(list(accuracies(predictions, truth).values())))


def mce(predictions: Shifted, truth: Truth) -> float:
    """Return the mean over the sets of their error by that of a reference network: 1 is as good as it.

    With ImageNet-C's 15 corruptions, each of five severities of equal size, and the errors of AlexNet that is the mean
    corruption error of Hendrycks and Dietterich, 2019, which sums both errors over the severities.
    """
    found = accuracies(predictions, truth)
    return float(np.mean([(1 - top1) / truth.normalisers[name] for name, top1 in found.items()]))


METRICS = (
    Metric("shift_top1", "shifts", lambda classes: None, number=shift_top1),
    Metric(
        "mce",
        "shifts",
        lambda classes: None,
        number=mce,
        higher_is_better=False,
        high=1000.0,
        applies=lambda predictions, truth: all(truth.normalisers.get(name) for name in predictions.sets),
    ),
)

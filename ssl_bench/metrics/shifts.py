"""Scores of one classifier on several shifted test sets.

Both are means over the sets, however many samples each has. They are written as means over all N samples, of which one
of a set of n counts N / (sets · n) times; the interval then takes what the sets differ by for noise as well, so it is
too wide rather than too narrow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.metrics import classes
from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Shifted, Truth


def shift_top1(predictions: Shifted, truth: Truth) -> NDArray[np.float64]:
    """Return, for every sample of every set, whether its first class is the target, weighted."""
    rights = {name: classes.top1(part, truth.of(name)) for name, part in predictions.sets.items()}
    return _weighted({name: right.astype(np.float64) for name, right in rights.items()})


def mce(predictions: Shifted, truth: Truth) -> NDArray[np.float64]:
    """Return, for every sample of every set, its error by the set's error of a reference network, weighted.

    With ImageNet-C's 15 corruptions, each of five severities of equal size, and the errors of AlexNet the mean is the
    mean corruption error of Hendrycks and Dietterich, 2019, which sums both errors over the severities: 1 is AlexNet's.
    """
    rights = {name: classes.top1(part, truth.of(name)) for name, part in predictions.sets.items()}
    return _weighted({name: (1 - right.astype(np.float64)) / truth.normalisers[name] for name, right in rights.items()})


def _weighted(sets: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return all values, scaled so that their mean is the mean of the sets' means."""
    samples = sum(map(len, sets.values()))
    return np.concatenate([values * (samples / (len(sets) * len(values))) for values in sets.values()])


METRICS = (
    Metric("shift_top1", "shifts", lambda classes: None, outcomes=shift_top1, interval="normal"),
    Metric(
        "mce",
        "shifts",
        lambda classes: None,
        outcomes=mce,
        interval="normal",
        higher_is_better=False,
        high=1000.0,
        applies=lambda predictions, truth: all(truth.normalisers.get(name) for name in predictions.sets),
    ),
)

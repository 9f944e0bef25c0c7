"""Scores of objects that were followed through videos, means over all of them; see `predictions.tracks`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Truth
from ssl_bench.predictions.tracks import TrackScores


def j_and_f(predictions: TrackScores, truth: Truth) -> NDArray[np.float64]:
    """Return the mean of region and contour of every object."""
    return (predictions.regions + predictions.contours) / 2


def j_mean(predictions: TrackScores, truth: Truth) -> NDArray[np.float64]:
    """Return every object's region similarity."""
    return predictions.regions


def f_mean(predictions: TrackScores, truth: Truth) -> NDArray[np.float64]:
    """Return every object's contour accuracy."""
    return predictions.contours


METRICS = tuple(
    Metric(function.__name__, "tracks", lambda classes: None, outcomes=function, interval="normal")
    for function in (j_and_f, j_mean, f_mean)
)

"""Scores of few-shot episodes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench import episodes
from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Episodic, Truth


def episode_accuracy(predictions: Episodic, truth: Truth) -> NDArray[np.float64]:
    """Return the fraction of each episode's queries that were given their way."""
    _, answers = episodes.draw(truth.targets, predictions.draw)
    right: NDArray[np.float64] = (predictions.predicted == answers).mean(axis=1)
    return right


METRICS = (Metric("episode_accuracy", "episodes", lambda classes: None, outcomes=episode_accuracy, interval="normal"),)

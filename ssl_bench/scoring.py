"""Predictions and test labels meet here, after the protocol has answered, and nowhere else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench import metrics
from ssl_bench.errors import DataError
from ssl_bench.protocols.base import Answer, Predictions
from ssl_bench.results.record import Interval, MetricDefinition, MetricValue
from ssl_bench.statistics import wilson
from ssl_bench.tasks import TaskCard


def definitions(card: TaskCard) -> dict[str, MetricDefinition]:
    """Return how each metric that is computed for a task is to be read."""
    names = dict.fromkeys((card.metric, *metrics.METRICS))
    return {
        name: MetricDefinition(
            metric.unit, metric.higher_is_better, metric.low, metric.high, metric.chance(card.classes)
        )
        for name in names
        for metric in [metrics.get(name)]
    }


def score(answer: Answer, targets: NDArray[np.int64], card: TaskCard) -> dict[str, MetricValue]:
    """Return every metric of the headline, and the task's own metric of every variant, named "variant/metric".

    Raises DataError where a protocol did not answer for every test sample.
    """
    scores = {name: _value(name, answer.predictions, targets, card) for name in definitions(card)}
    for variant, predictions in answer.variants.items():
        scores[f"{variant}/{card.metric}"] = _value(card.metric, predictions, targets, card)
    return scores


def _value(name: str, predictions: Predictions, targets: NDArray[np.int64], card: TaskCard) -> MetricValue:
    if len(predictions.ranked) != len(targets):
        raise DataError(f"{len(predictions.ranked)} predictions came back for {len(targets)} test samples")
    metric, n = metrics.get(name), len(targets)
    value = metric.score(predictions.ranked, targets, card.classes)
    interval = Interval(*wilson(value * n, n), level=0.95, method="wilson") if metric.proportion else None
    return MetricValue(value, n, interval)

"""Predictions and test labels meet here, after the protocol has answered, and nowhere else."""

from __future__ import annotations

from ssl_bench import metrics
from ssl_bench.errors import DataError, UsageError
from ssl_bench.metrics import Metric
from ssl_bench.predictions import Predictions, Truth
from ssl_bench.protocols.base import Answer, Protocol
from ssl_bench.results.record import Interval, MetricDefinition, MetricValue
from ssl_bench.tasks import TaskCard


def headline(card: TaskCard, protocol: Protocol) -> str:
    """Return the metric that stands on a board: the protocol's own, or the task's, which a retrieval task brings."""
    if card.kind == "retrieval":
        return card.metric
    return protocol.metric or card.metric


def scored_by(answer: Answer, truth: Truth, first: str) -> list[Metric]:
    """Return the metrics that say something of an answer, `first` the first; raise UsageError if that is not one."""
    chosen = metrics.get(first)
    kind = answer.predictions.kind
    if chosen.kind != kind:
        raise UsageError(f"the metric {first!r} scores {chosen.kind}, and this protocol gives {kind}")
    others = [metric for metric in metrics.of_kind(kind) if metric.applies(answer.predictions, truth)]
    return [chosen, *(metric for metric in others if metric.name != first)]


def definitions(scored: list[Metric], classes: int) -> dict[str, MetricDefinition]:
    """Return how each metric is to be read."""
    return {
        metric.name: MetricDefinition(
            metric.unit, metric.higher_is_better, metric.low, metric.high, metric.chance(classes)
        )
        for metric in scored
    }


def score(answer: Answer, truth: Truth, scored: list[Metric]) -> dict[str, MetricValue]:
    """Return every metric of the headline, and the first of every variant, named "variant/metric".

    Raises DataError where a protocol did not answer for every test sample.
    """
    scores = {metric.name: _value(metric, answer.predictions, truth) for metric in scored}
    for variant, predictions in answer.variants.items():
        scores[f"{variant}/{scored[0].name}"] = _value(scored[0], predictions, truth)
    return scores


def _value(metric: Metric, predictions: Predictions, truth: Truth) -> MetricValue:
    if predictions.asked not in (None, len(truth.targets)):
        raise DataError(f"{predictions.asked} predictions came back for {len(truth.targets)} test samples")
    value, n, bounds = metric.score(predictions, truth)
    interval = Interval(bounds[0], bounds[1], level=0.95, method=bounds[2]) if bounds else None
    return MetricValue(value, n, interval)

"""Predictions and test labels meet here, after the protocol has answered, and nowhere else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ssl_bench import metrics
from ssl_bench.errors import DataError, UsageError
from ssl_bench.metrics import Metric
from ssl_bench.metrics.masks import per_class_iou
from ssl_bench.predictions import Overlaps, Predictions, Shifted, Truth
from ssl_bench.protocols.base import Answer, Protocol
from ssl_bench.results.record import Interval, MetricDefinition, MetricValue
from ssl_bench.tasks import TaskCard


def headline(card: TaskCard, protocol: Protocol) -> str:
    """Return the metric that stands on a board: the protocol's own, or the task's, which a retrieval task brings."""
    if card.kind == "retrieval":
        return card.metric
    return protocol.metric or card.metric


def judged(answer: Answer, truth: Truth) -> Answer:
    """Return the answer with everything that is said of images' parts compared with what is true of them."""

    def each(said: Mapping[str, Predictions]) -> dict[str, Predictions]:
        return {name: one.judged(truth) for name, one in said.items()}

    return dataclasses.replace(
        answer,
        predictions=answer.predictions.judged(truth),
        variants=each(answer.variants),
        candidates=each(answer.candidates),
    )


def settled(answer: Answer, protocol: Protocol, truth: Truth, first: str) -> Answer:
    """Return the answer with the best of its candidates by the metric `first` as the headline, where there are any.

    On equal ones the first is taken. What was done stands in `selected`, and each candidate's figure in the curve.
    Raises ValueError where a protocol gives candidates without owning up to it in its recipe.
    """
    if not answer.candidates:
        return answer
    if not protocol.selects_on_test:
        raise ValueError("a protocol whose recipe does not say so let the test labels choose")
    metric = metrics.get(first)
    values = {name: _value(metric, predictions, truth).value for name, predictions in answer.candidates.items()}
    best = max(values, key=lambda name: values[name] if metric.higher_is_better else -values[name])
    said = {"candidate": best, "candidates": len(values), "selected_on": "the report set"}
    return dataclasses.replace(
        answer,
        predictions=answer.candidates[best],
        candidates={},
        selected={**answer.selected, **said},
        curve=(*answer.curve, *({"candidate": name, f"test_{first}": value} for name, value in values.items())),
    )


def scored_by(answer: Answer, truth: Truth, first: str) -> list[Metric]:
    """Return the metrics that say something of an answer, `first` the first; raise UsageError if that is not one."""
    chosen = metrics.get(first)
    kind = answer.predictions.kind
    if chosen.kind != kind:
        raise UsageError(f"the metric {first!r} scores {chosen.kind}, and this protocol gives {kind}")
    if not chosen.applies(answer.predictions, truth):
        raise UsageError(f"the metric {first!r} needs more than this protocol says of a sample; name another metric")
    others = [metric for metric in metrics.of_kind(kind) if metric.applies(answer.predictions, truth)]
    parts = _of_sets(answer.predictions) if isinstance(answer.predictions, Shifted) else []
    parts += [metrics.get("iou")] if isinstance(answer.predictions, Overlaps) else []
    return [chosen, *(metric for metric in others if metric.name != first), *parts]


def definitions(scored: list[Metric], classes: int, ceiling: float | None = None) -> dict[str, MetricDefinition]:
    """Return how each metric is to be read; `ceiling` is that of the first, the headline, where the card states one."""
    return {metric.name: _definition(metric, classes, ceiling if metric is scored[0] else None) for metric in scored}


def _definition(metric: Metric, classes: int, ceiling: float | None) -> MetricDefinition:
    if ceiling is None and metric.unit == "fraction":  # ranges of other units only keep nonsense out
        ceiling = metric.high if metric.higher_is_better else metric.low
    return MetricDefinition(
        metric.unit, metric.higher_is_better, metric.low, metric.high, metric.chance(classes), ceiling
    )


def score(answer: Answer, truth: Truth, scored: list[Metric]) -> dict[str, MetricValue]:
    """Return every metric of the headline, and the first of every variant, named "variant/metric"; of shifted test sets
    also the top-1 and the calibration error of each, named "set/top1" and "set/ece"; and of masks "class/iou" of each.

    Raises DataError where a protocol did not answer for every test sample.
    """
    said = answer.predictions
    scores: dict[str, MetricValue] = {}
    if isinstance(said, Shifted):
        for name, part in {"test": said.clean, **said.sets}.items():
            scores |= {f"{name}/{one.name}": _value(one, part, truth.of(name)) for one in _of_sets(said)}
    if isinstance(said, Overlaps):
        values = per_class_iou(said, truth.class_names)
        scores |= {name: MetricValue(value, len(truth.targets)) for name, value in values.items()}
    whole = [metric for metric in scored if metric.kind == said.kind and metric.applies(said, truth)]
    scores |= {metric.name: _value(metric, said, truth) for metric in whole}
    for variant, predictions in answer.variants.items():
        scores[f"{variant}/{scored[0].name}"] = _value(scored[0], predictions, truth)
    return scores


def _of_sets(predictions: Shifted) -> list[Metric]:
    """Return what is measured on the test set and on each shifted one."""
    return [metrics.get("top1"), *([metrics.get("ece")] if predictions.clean.probability else [])]


def _value(metric: Metric, predictions: Predictions, truth: Truth) -> MetricValue:
    if predictions.asked not in (None, len(truth.targets)):
        raise DataError(f"{predictions.asked} predictions came back for {len(truth.targets)} test samples")
    value, n, bounds = metric.score(predictions, truth)
    interval = Interval(bounds[0], bounds[1], level=0.95, method=bounds[2]) if bounds else None
    return MetricValue(value, n, interval)

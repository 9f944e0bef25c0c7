"""Scores of predictions: a module per kind of them. Every metric says its unit, direction, range and chance."""

from __future__ import annotations

import importlib
import pkgutil

from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.metrics.base import Metric

METRICS: dict[str, Metric] = {
    metric.name: metric
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__))
    if module != "base"
    for metric in importlib.import_module(f"{__name__}.{module}").METRICS
}
"""Every metric by its name."""


def get(name: str) -> Metric:
    """Return the metric called `name`; raise UsageError that names the nearest known ones."""
    if name not in METRICS:
        raise UsageError(f"no metric is called {name!r}.{did_you_mean(name, METRICS)} Known: {', '.join(METRICS)}")
    return METRICS[name]


def of_kind(kind: str) -> list[Metric]:
    """Return the metrics that score one kind of predictions."""
    return [metric for metric in METRICS.values() if metric.kind == kind]


__all__ = ["METRICS", "Metric", "get", "of_kind"]

"""Stores whose records rest on real per-sample files, scored by the real metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import metrics
from ssl_bench.predictions import Classes, Predictions, Truth
from ssl_bench.results.record import Interval, MetricDefinition, MetricValue, ProtocolBlock, Record
from ssl_bench.results.store import Results
from tests.results.factory import make_model, make_protocol, make_record, make_task

STOCHASTIC = ProtocolBlock("linear_probe", 1, {"epochs": 10}, deterministic=False)
CLASSES = 10


def truth_of(task: str, n: int, classes: int = CLASSES) -> Truth:
    """Return the labels of a task, the same every time."""
    return Truth({"test": np.random.default_rng(list(task.encode())).integers(classes, size=n)}, classes)


def answers(task: str, n: int, accuracy: float = 0.8, classes: int = CLASSES) -> np.ndarray:
    """Return predicted classes (n,), right in `accuracy` of the samples, the same every time."""
    targets = truth_of(task, n, classes).targets
    right = np.random.default_rng([1, *task.encode()]).random(n) < accuracy
    return np.where(right, targets, (targets + 1) % classes)


def flipped(task: str, pred: np.ndarray, losses: int, wins: int, seed: int = 0, classes: int = CLASSES) -> np.ndarray:
    """Return predictions of which `losses` are no longer right and `wins` are right now."""
    targets, changed = truth_of(task, len(pred), classes).targets, pred.copy()
    draw = np.random.default_rng(seed)
    lost = draw.choice(np.flatnonzero(pred == targets), losses, replace=False)
    won = draw.choice(np.flatnonzero(pred != targets), wins, replace=False)
    changed[lost], changed[won] = (targets[lost] + 1) % classes, targets[won]
    return changed


def classes_of(pred: np.ndarray, classes: int = CLASSES, confidence: float = 0.5) -> Classes:
    """Return predictions whose first class is `pred`."""
    ranked = (pred[:, None] + np.arange(5)[None, :]) % classes
    return Classes(ranked, np.full(len(pred), confidence, dtype=np.float32))


def put(
    root: Path,
    task: str,
    said: Predictions,
    truth: Truth,
    *,
    metric: str = "top1",
    model: str = "dinov2_vits14",
    weights: str = "",
    protocol: str | ProtocolBlock = "knn",
    seed: int = 0,
    ids: Sequence[str] | None = None,
    order: np.ndarray | None = None,
    truncated: int = 0,
    environment: Mapping[str, Any] | None = None,
    version: int = 1,
) -> Record:
    """Put the record of some predictions and return it; `order` shuffles the rows of the per-sample file."""
    n = len(truth.targets)
    results = Results(root)
    table = dict(said.table(ids or [f"{task}/{i:05d}.png" for i in range(n)], truth))
    if order is not None:
        table = {
            name: values[order] if isinstance(values, np.ndarray) else [values[i] for i in order]
            for name, values in table.items()
        }
    scored = [one for one in metrics.of_kind(said.kind) if one.applies(said, truth)]
    values = {}
    for one in scored:
        value, count, bounds = one.score(said, truth)
        interval = Interval(bounds[0], bounds[1], 0.95, bounds[2]) if bounds else None
        values[one.name] = MetricValue(value, count, interval)
    definitions = {
        one.name: MetricDefinition(one.unit, one.higher_is_better, one.low, one.high, one.chance(truth.classes))
        for one in scored
    }
    block = dataclasses.replace(
        make_task(task, truncated=truncated, version=version),
        samples={"train": 5 * n, "test": n} | {name: len(labels) for name, labels in truth.labels.items()},
        classes=truth.classes,
        metric=metric,
        metrics=definitions,
    )
    record = make_record(make_model(model, weights=weights), "cifar10", protocol, seed=seed)
    record = dataclasses.replace(
        record,
        task=block,
        metrics=values,
        samples=results.put_samples(table),
        environment=record.environment | dict(environment or {}),
    )
    results.put(record)
    return record


def put_classes(root: Path, task: str, pred: np.ndarray, **given: Any) -> Record:
    """Put the record of predicted classes."""
    return put(root, task, classes_of(pred), truth_of(task, len(pred)), **given)


__all__ = ["STOCHASTIC", "answers", "classes_of", "flipped", "make_protocol", "put", "put_classes", "truth_of"]

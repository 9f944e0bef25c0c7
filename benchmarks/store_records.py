"""Records for the store's benchmarks: a committed record under other names, weights, tasks, seeds and values."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from ssl_bench import statistics
from ssl_bench.results.record import Interval, MetricValue, Record

SOURCE = Path(__file__).parent.parent / "results" / "cifar_resnet20.jsonl"


def real_record(protocol: str = "knn") -> Record:
    """Return a committed record of the protocol whose headline metric is top-1."""
    for number, line in enumerate(SOURCE.read_bytes().splitlines(), start=1):
        record = Record.from_text(line, f"{SOURCE.name}:{number}")
        if record.protocol.name == protocol and record.task.metric == "top1":
            return record
    raise SystemExit(f"{SOURCE} holds no record of {protocol}")


def vary(record: Record, model: str, task: str, seed: int) -> Record:
    """Return the record as another model, task and seed would have given it: all that differs there differs here."""
    draw = random.Random(f"{model} {task} {seed}")
    skill = random.Random(model).uniform(0.3, 0.9)
    right = draw.randint(0, 20) + round(skill * (record.headline.n - 40))
    values = {name: _metric(right + 5 * name.count("top5"), metric) for name, metric in record.metrics.items()}
    curve = tuple(
        {key: draw.random() if isinstance(item, float) and 0 < item < 1 else item for key, item in row.items()}
        for row in record.protocol.curve
    )
    return dataclasses.replace(
        record,
        model=dataclasses.replace(record.model, name=model, title=model, weights_digest=_sha(model)),
        task=dataclasses.replace(record.task, name=task, title=task, digest=_sha(task)),
        protocol=dataclasses.replace(record.protocol, curve=curve),
        seed=seed,
        metrics=values,
        samples=dataclasses.replace(record.samples, sha256=_sha(f"{model} {task} {seed}")),
        timing={name: value + draw.random() for name, value in record.timing.items()},
        created=f"2026-01-01T{seed % 24:02d}:00:00Z",
    )


def _metric(right: int, metric: MetricValue) -> MetricValue:
    low, high = statistics.wilson(right, metric.n)
    return MetricValue(right / metric.n, metric.n, Interval(low, high, 0.95, "wilson"))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def grid(models: range, tasks: int, seeds: int) -> Iterator[tuple[str, list[Record]]]:
    """Give (model, its records) for some of many models."""
    record = real_record()
    for number in models:
        name = f"model{number:03d}"
        yield name, [vary(record, name, f"task{task:02d}", seed) for task in range(tasks) for seed in range(seeds)]

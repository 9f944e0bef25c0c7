"""Realistic records, made through the real dataclasses, for the tests of the store and of the board."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ssl_bench import metrics, statistics
from ssl_bench.files import digest_json
from ssl_bench.predictions import Classes, Predictions, Truth
from ssl_bench.protocols.base import Answer
from ssl_bench.results.record import (
    FeaturesBlock,
    Interval,
    LabelMap,
    MetricDefinition,
    MetricValue,
    Model,
    ProtocolBlock,
    Record,
    Samples,
    Task,
)
from ssl_bench.results.store import Results
from ssl_bench.scoring import definitions, score, scored_by

RECIPES: Mapping[str, Mapping[str, Any]] = {
    "knn": {"k": 20, "temperature": 0.07},
    "logistic_regression": {"C": [0.01, 0.1, 1.0, 10.0, 100.0], "max_iter": 1000},
}
TASKS: Mapping[str, tuple[str, int, int]] = {
    "cifar10": ("CIFAR-10", 10, 10_000),
    "cifar100": ("CIFAR-100", 100, 10_000),
    "dtd": ("Describable Textures", 47, 1_880),
    "pets": ("Oxford-IIIT Pets", 37, 3_669),
    "eurosat": ("EuroSAT", 10, 5_400),
    "svhn": ("SVHN", 10, 26_032),
}
"""Task name to (title, classes, test samples)."""


def sha(*parts: object) -> str:
    """Return the sha256 (hex) of some words."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def make_task(name: str = "cifar10", *, version: int = 1, truncated: int = 0) -> Task:
    """Return a task block; unknown names are tasks of ten classes and 2000 test samples."""
    title, classes, n = TASKS.get(name, (name.upper(), 10, 2_000))
    definitions = {
        metric.name: MetricDefinition(
            metric.unit, metric.higher_is_better, metric.low, metric.high, metric.chance(classes)
        )
        for metric in (metrics.get("top1"), metrics.get("top5"))
    }
    return Task(
        name=name,
        title=title,
        version=version,
        kind="classification",
        classes=classes,
        digest=sha("task", name, version),
        samples={"train": 5 * n, "test": truncated or n},
        metric="top1",
        metrics=definitions,
        source={"url": "https://example.org/data", "licence": "CC-BY-4.0"},
        truncated=truncated,
    )


def make_model(name: str = "dinov2_vits14", *, adapter: str = "timm", weights: str = "") -> Model:
    """Return a model block whose weights digest depends on the name, or on `weights`."""
    return Model(
        name=name,
        title=name.replace("_", " ").title(),
        adapter=adapter,
        weights_digest=sha("weights", weights or name),
        arch={"patch_size": 14, "dynamic_img_size": True},
        parameters=22_056_576,
        embed_dim=384,
        source="https://example.org/weights",
        library="timm 1.0.20",
        about={
            "paper": "https://arxiv.org/abs/2304.07193",
            "licence": "Apache-2.0",
            "data": "LVD-142M",
            "labels_used": False,
        },
    )


def make_metric(value: float, n: int) -> MetricValue:
    """Return a proportion with its Wilson interval."""
    low, high = statistics.wilson(value * n, n)
    return MetricValue(value, n, Interval(low, high, 0.95, "wilson"))


def make_protocol(name: str = "knn", recipe: Mapping[str, Any] | None = None) -> ProtocolBlock:
    """Return a protocol block; logistic regression comes with a validation curve."""
    recipe = RECIPES.get(name, {}) if recipe is None else recipe
    if name != "logistic_regression":
        return ProtocolBlock(name, 1, recipe, deterministic=True)
    curve = tuple({"C": c, "top1": 0.7 - 0.02 * abs(i - 2)} for i, c in enumerate(recipe["C"]))
    return ProtocolBlock(name, 1, recipe, True, {"C": 1.0}, curve, converged=True, at_grid_edge=False)


def make_scored(said: Predictions, truth: Truth, table: Mapping[str, Any], first: str) -> Record:
    """Return a record of what predictions that were compared with their truth score, `first` the headline, and of the
    table that keeps them."""
    scored = scored_by(Answer(said), truth, first)
    samples = len(truth.targets)
    task = dataclasses.replace(
        make_task(),
        classes=truth.classes,
        metric=first,
        metrics=definitions(scored, truth.classes),
        samples={"train": 1, "test": samples},
    )
    return dataclasses.replace(
        make_record(),
        task=task,
        metrics=score(Answer(said), truth, scored),
        samples=Samples(sha(first), len(table["sample_id"]), tuple(table)),
    )


def make_record(
    model: str | Model = "dinov2_vits14",
    task: str | Task = "cifar10",
    protocol: str | ProtocolBlock = "knn",
    *,
    value: float = 0.75,
    seed: int = 0,
    created: str = "2026-02-01T12:00:00+00:00",
    size: int = 224,
    pooled: str = "default",
    device: str = "NVIDIA H100",
) -> Record:
    """Return the record of one job that scored `value` (rounded to whole samples) in top-1."""
    model = make_model(model) if isinstance(model, str) else model
    task = make_task(task) if isinstance(task, str) else task
    protocol = make_protocol(protocol) if isinstance(protocol, str) else protocol
    n = task.samples["test"]
    right = round(value * n)
    values = {
        "top1": make_metric(right / n, n),
        "top5": make_metric((right + (n - right) // 2) / n, n),
    }
    if protocol.name == "knn":
        values["k=200/top1"] = make_metric(round(right * 0.98) / n, n)
    return Record(
        model=model,
        features=FeaturesBlock(
            {"pooled": pooled},
            {
                "pooled": "cls",
                "input": {"size": [size, size], "interpolation": "bicubic", "mean": [0.485, 0.456, 0.406]},
                "precision": "float32",
            },
        ),
        task=task,
        protocol=protocol,
        seed=seed,
        metrics=values,
        samples=Samples(
            sha("samples", model.name, task.name, value), n, ("sample_id", "target", "pred", "top5", "confidence")
        ),
        environment={"python": "3.11.9", "torch": "2.5.1", "device": device, "batch_size": 128},
        code={"version": "0.1.0", "commit": "0123456789abcdef", "dirty": False},
        timing={
            "extract_seconds": 12.5,
            "protocol_seconds": 1,
            "images_extracted": 60_000,
            "images_per_second": 4800.0,
        },
        created=created,
    )


def make_full_record() -> Record:
    """Return a record in which every field of the current schema holds something."""
    record = make_record(protocol="logistic_regression")
    ceilings = {name: dataclasses.replace(one, ceiling=1.0) for name, one in record.task.metrics.items()}
    names = tuple(f"class {label}" for label in range(record.task.classes))
    task = dataclasses.replace(
        record.task,
        metrics=ceilings,
        ids={split: sha("ids", split) for split in record.task.samples},
        labels=LabelMap(sha(*names), names),
    )
    timing = {**record.timing, "download_seconds": 3.0, "flops_per_image": 4.6e9, "cpu_joules": 120.5}
    return dataclasses.replace(record, task=task, timing=timing)


def make_scored_record(results: Results, n: int = 40, right: int = 30) -> Record:
    """Return a record whose predictions lie in the store and give its numbers: `right` of `n` first classes are right,
    and of every second one of the others the class stands among the first five."""
    targets = np.arange(n) % 10
    second = np.arange(n) % 2 == 0
    first = np.where(np.arange(n) < right, targets, (targets + 1) % 10)
    ranked = (first[:, None] + np.arange(5)) % 10
    ranked[:, 1:] = np.where(
        second[:, None], (targets[:, None] + np.arange(4)) % 10, (first[:, None] + np.arange(2, 6)) % 10
    )
    ids = [f"{i}.png" for i in range(n)]
    said, truth = Classes(ranked, np.ones(n, dtype=np.float32)), Truth({"test": targets}, 10)
    samples = results.put_samples(said.table(ids, truth))
    task = dataclasses.replace(
        make_task(), samples={"train": 100, "test": n}, ids={"train": sha(1), "test": digest_json(ids)}
    )
    values = {name: make_metric(float(metrics.get(name).score(said, truth)[0]), n) for name in ("top1", "top5")}
    record = make_record(task=task, protocol="logistic_regression")
    return dataclasses.replace(record, metrics=values, samples=samples)


def forged(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record's JSON with the digests that its content has, as whoever made it up would write them."""
    identity = {
        "arch": body["model"]["arch"],
        "features": body["features"],
        "protocol": {key: body["protocol"][key] for key in ("name", "version", "recipe")},
        "schema": "ssl-bench.record/1",
        "seed": body["seed"],
        "task": body["task"]["digest"],
        "truncated": body["task"]["truncated"],
        "weights": body["model"]["weights_digest"],
    }
    question = {
        "features": body["features"]["requested"],
        "protocol": identity["protocol"],
        "task": body["task"]["digest"],
        "truncated": body["task"]["truncated"],
    }
    rest = {key: value for key, value in body.items() if key != "content_digest"}
    rest |= {"record_id": digest_json(identity), "question": digest_json(question)}
    return rest | {"content_digest": digest_json(rest)}


def make_grid(
    models: int = 4, tasks: int = 5, protocols: tuple[str, ...] = ("knn", "logistic_regression"), seeds: int = 1
) -> Iterator[Record]:
    """Give one record per model, task, protocol and seed, with the same values every time."""
    draw = random.Random(0)
    names = [*TASKS, *(f"task{i:02d}" for i in range(tasks))][:tasks]
    for number in range(models):
        skill = 0.45 + 0.5 * number / max(1, models)
        for task in names:
            for protocol in protocols:
                for seed in range(seeds):
                    value = min(0.99, max(0.05, skill + draw.uniform(-0.05, 0.05)))
                    yield make_record(f"model{number:03d}", task, protocol, value=value, seed=seed)

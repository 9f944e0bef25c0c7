"""A record in words, for a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssl_bench.files import canonical_json
from ssl_bench.results.record import MetricDefinition, MetricValue, Record
from ssl_bench.results.verifications import Verification


def describe(record: Record) -> str:
    """Return what `results show` prints: the number first, then its whole cause, a few lines per block."""
    return "\n".join(_lines(record)) + "\n"


def describe_runs(runs: Sequence[tuple[Record, str, str]], shown: Record) -> str:
    """Return the records of one job when there is more to say than that one stands: (record, status, reason) each."""
    if len(runs) == 1 and runs[0][1] == "standing":
        return ""
    lines = [f"records of this job: {len(runs)}"]
    for record, status, reason in runs:
        value = with_interval(record.headline, record.definition(record.task.metric))
        words = {"repeat": "the same numbers", "drift": "other numbers: drift", "standing": "stands for the job"}
        said = f"withdrawn: {reason}" if status == "withdrawn" else words.get(status, status)
        here = "  ← shown" if record.content_digest == shown.content_digest else ""
        lines.append(clean(f"  {record.content_digest[:16]}  {record.created}  {value}  {said}{here}"))
    return "\n".join(lines) + "\n"


def describe_verifications(found: Sequence[Verification], shown: Record) -> str:
    """Return who checked the record that is shown, and what came of it, oldest first; "" where nobody did."""
    lines = [
        clean(f"  {one.created}  {one.level:<8} {one.outcome}  by {one.verifier}  {one.link}".rstrip())
        for one in found
        if shown.content_digest in one.records
    ]
    return "\n".join(["verifications", *lines]) + "\n" if lines else ""


def command(record: Record) -> str:
    """Return the command that asks the record's question of the same model again, its whole recipe written out."""
    words = ["ssl-bench", "run", "--model", record.model.name, "--task", record.task.name]
    words += ["--protocol", protocol_words(record)]
    asked = record.features.requested
    if asked.get("pooled", "default") != "default":
        words += ["--pooled", str(asked["pooled"])]
    if prescribed := asked.get("input"):
        words += ["--input", ",".join(f"{key}={recipe_word(value)}" for key, value in sorted(prescribed.items()))]
    if precision := asked.get("precision"):
        words += ["--precision", str(precision)]
    if record.seed:
        words += ["--seeds", str(record.seed)]
    if record.task.truncated:
        words += ["--limit", str(record.task.truncated)]
    return shlex.join(word if word.isprintable() else repr(word) for word in words)


def protocol_words(record: Record) -> str:
    """Return "knn,k=20,temperature=0.07": what `protocols.get` reads."""
    recipe = ((key, value) for key, value in record.protocol.recipe.items() if value is not None)
    return ",".join([record.protocol.name, *(f"{key}={recipe_word(value)}" for key, value in sorted(recipe))])


def recipe_word(value: Any) -> str:
    """Return a recipe's value as a word of the command line; lists are written "10+20"."""
    if isinstance(value, list):
        return "+".join(map(recipe_word, value))
    return value if isinstance(value, str) else canonical_json(value)


def number(value: float, definition: MetricDefinition) -> str:
    """Return a metric's value as it is printed everywhere: fractions as percent with one decimal, else four digits."""
    return f"{100 * value:.1f}" if definition.unit == "fraction" else f"{value:.4g}"


def with_interval(metric: MetricValue, definition: MetricDefinition) -> str:
    """Return "81.2 [80.4, 82.0]", or the value alone where no interval was recorded."""
    text = number(metric.value, definition)
    if metric.interval is None:
        return text
    return f"{text} [{number(metric.interval.low, definition)}, {number(metric.interval.high, definition)}]"


def _lines(record: Record) -> Iterator[str]:
    task, protocol, model = record.task, record.protocol, record.model
    yield clean(f"{model.name} · {task.name} · {protocol.name} · seed {record.seed}")
    if task.truncated:
        yield f"truncated to {task.truncated} samples per split: never enters a board"
    yield ""
    width = max(16, *map(len, record.metrics))
    for name, metric in sorted(record.metrics.items(), key=lambda item: (item[0] != task.metric, item[0])):
        definition = record.definition(name)
        unit = " %" if definition.unit == "fraction" else f" {definition.unit}"
        chance = "" if definition.chance is None else f", chance {number(definition.chance, definition)}"
        yield clean(f"  {name:<{width}} {with_interval(metric, definition)}{unit}   n = {metric.n}{chance}")
    for title, block in _blocks(record):
        yield f"\n{title}"
        for key, value in block.items():
            if value not in (None, "", (), [], {}):
                yield clean(f"  {key:<16} {value if isinstance(value, str) else canonical_json(value)}")
    if protocol.curve:
        yield "\nvalidation curve"
        yield from (clean(f"  {canonical_json(row)}") for row in protocol.curve)
    if "factory" in model.arch or model.adapter != "module":  # a module that was given in Python has no name
        yield f"\nagain\n  {clean(command(record))}"


def _blocks(record: Record) -> Iterator[tuple[str, Mapping[str, Any]]]:
    task, protocol, model = record.task, record.protocol, record.model
    yield (
        "model",
        {key: getattr(model, key) for key in ("title", "adapter", "library", "source", "parameters", "embed_dim")}
        | {"arch": model.arch, "weights": model.weights_digest}
        | dict(model.about),
    )
    yield "features", {"requested": record.features.requested, "resolved": record.features.resolved}
    yield (
        "task",
        {"title": task.title, "version": task.version, "classes": task.classes, "samples": task.samples}
        | {"digest": task.digest, "ids": task.ids, "labels": task.labels and task.labels.sha256}
        | dict(task.source),
    )
    yield (
        "protocol",
        {"version": protocol.version, "deterministic": protocol.deterministic}
        | {"recipe": protocol.recipe, "selected": protocol.selected}
        | {"converged": protocol.converged, "at_grid_edge": protocol.at_grid_edge},
    )
    yield "time", record.timing
    yield "environment", record.environment
    yield "code", record.code
    yield (
        "record",
        {"record_id": record.record_id, "question": record.question, "content_digest": record.content_digest}
        | {"samples": record.samples.sha256, "created": record.created},
    )


def clean(text: str) -> str:
    """Return `text` without characters that could steer a terminal; names come from strangers."""
    return "".join(char if char.isprintable() else "�" for char in text)

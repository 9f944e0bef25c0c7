"""The record of one job: complete enough to be read alone, immutable, and named by what caused its numbers.

Every block settles its values when it is made: a float field holds a float (so that `1` and `1.0` cannot differ in a
digest), an int field an int, and a mapping plain JSON values whose types are kept. A record that contradicts itself
cannot be made or read.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import operator
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_bench import cards
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import canonical_json, digest_json

SCHEMA = "ssl-bench.record/1"
STATED = ("record_id", "question", "content_digest")
"""Digests that are written into a record's JSON and checked when it is read."""


@functools.cache
def _field_types(kind: type) -> tuple[tuple[str, Any], ...]:
    """Return (field name, type) of a block's fields."""
    hints = typing.get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in dataclasses.fields(kind))


class _Block:
    """A frozen part of a record whose values have the types that its fields declare."""

    def __post_init__(self) -> None:
        for name, hint in _field_types(type(self)):  # type: ignore[arg-type]  # mypy takes the type for unhashable
            object.__setattr__(self, name, _settled(hint, getattr(self, name), name))

    @functools.cached_property
    def canonical(self) -> str:
        """The block as canonical JSON, made once; `canonical_json(cards.plain(block))` gives the same text."""
        parts = []
        for name, _ in sorted(_field_types(type(self))):  # type: ignore[arg-type]
            value = getattr(self, name)
            parts.append(f'"{name}":{value.canonical if isinstance(value, _Block) else _canonical(value)}')
        return f"{{{','.join(parts)}}}"


def _canonical(value: Any) -> str:
    """Return a settled field's value as canonical JSON."""
    if isinstance(value, Mapping) and value and isinstance(next(iter(value.values())), _Block):
        return f"{{{','.join(f'{canonical_json(key)}:{value[key].canonical}' for key in sorted(value))}}}"
    return canonical_json(value)


@functools.lru_cache(maxsize=4096)
def _shared(kind: type, text: str, place: str) -> Any:
    """Return the block that is written as `text`; equal blocks of many records are one object, checked once."""
    return cards.from_table(kind, json.loads(text), place)


def _settled(hint: Any, value: Any, place: str) -> Any:
    """Return `value` as a field of type `hint` keeps it; raise UsageError naming the field."""
    if hint is str or hint is bool:
        return value
    if hint in (float, float | None):
        return None if value is None and hint is not float else _number(value, place)
    if hint is int:
        return _whole(value, place)
    if hint == Mapping[str, Any]:
        return _plain(value, place)
    if hint == Mapping[str, float]:
        return {str(key): _number(item, f"{place}.{key}") for key, item in value.items()}
    if hint == Mapping[str, int]:
        return {str(key): _whole(item, f"{place}.{key}") for key, item in value.items()}
    if hint == tuple[Mapping[str, Any], ...]:
        return tuple(_plain(item, f"{place}[{i}]") for i, item in enumerate(value))
    return value


def _number(value: Any, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UsageError(f"{place} must be a number, not {value!r}") from None
    if not math.isfinite(number):
        raise UsageError(f"{place} is {number}, which is not finite")
    return number


def _whole(value: Any, place: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise UsageError(f"{place} must be a whole number, not {value!r}") from None


def _plain(value: Any, place: str) -> Any:
    """Return `value` as plain JSON values, NumPy's scalars and arrays included; 1 stays 1 and 1.0 stays 1.0."""
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, float):
        return _number(value, place)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, str | Path):
        return str(value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), place)
    raise UsageError(f"{place} holds a {type(value).__name__}, which JSON cannot keep")


@dataclasses.dataclass(frozen=True)
class Model(_Block):
    """What was measured."""

    name: str
    title: str
    adapter: str
    weights_digest: str
    """sha256 over the network's tensors; see `backbones.base.digest_tensors`."""
    arch: Mapping[str, Any]
    """Plain values that name the architecture beyond the tensors."""
    parameters: int
    embed_dim: int
    source: str = ""
    file_sha256: str = ""
    library: str = ""
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The card's declared paper, data, labels_used and licence."""


@dataclasses.dataclass(frozen=True)
class FeaturesBlock(_Block):
    """Which features were asked for and which were used."""

    requested: Mapping[str, Any]
    """{"pooled": "default" or a name}; boards and comparisons group on it."""
    resolved: Mapping[str, Any]
    """{"pooled", "input": {size, resize, resize_to, interpolation, channels, mean, std}, "precision"}."""


@dataclasses.dataclass(frozen=True)
class MetricDefinition(_Block):
    """How a metric's number is to be read."""

    unit: str
    higher_is_better: bool
    low: float
    high: float
    chance: float | None
    """What guessing uniformly at random gives, where that is a number."""


@dataclasses.dataclass(frozen=True)
class Task(_Block):
    """What was asked of the data."""

    name: str
    title: str
    version: int
    kind: str
    classes: int
    digest: str
    """sha256 over the content, ids, labels and order of every split, and the metric."""
    samples: Mapping[str, int]
    """Samples per split, as they were used; "test" is always among them."""
    metric: str
    """The headline metric."""
    metrics: Mapping[str, MetricDefinition]
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    truncated: int = 0
    """Samples kept per split under `--limit`; 0 means all. A truncated record never enters a board."""


@dataclasses.dataclass(frozen=True)
class ProtocolBlock(_Block):
    """How it was asked, and what the protocol chose on validation data."""

    name: str
    version: int
    recipe: Mapping[str, Any]
    deterministic: bool
    selected: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    curve: tuple[Mapping[str, Any], ...] = ()
    converged: bool | None = None
    at_grid_edge: bool | None = None


@dataclasses.dataclass(frozen=True)
class Interval(_Block):
    """An interval for a metric's value."""

    low: float
    high: float
    level: float
    method: str


@dataclasses.dataclass(frozen=True)
class MetricValue(_Block):
    """One measured number."""

    value: float
    n: int
    """Test samples behind it, or episodes."""
    interval: Interval | None = None


@dataclasses.dataclass(frozen=True)
class Samples(_Block):
    """Where the per-sample predictions lie: `samples/<aa>/<sha256>.parquet` under the results root."""

    sha256: str
    n: int
    columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Record(_Block):
    """What was measured in one job."""

    model: Model
    features: FeaturesBlock
    task: Task
    protocol: ProtocolBlock
    seed: int
    metrics: Mapping[str, MetricValue]
    """Metric name to value; a further reading of the same trial is named "variant/metric", such as "k=200/top1"."""
    samples: Samples
    environment: Mapping[str, Any]
    """Versions, device and machine; enters no digest."""
    code: Mapping[str, Any]
    """ssl-bench's version and, in a checkout, the git commit and whether it was dirty."""
    timing: Mapping[str, float]
    """Seconds of extraction and of the protocol, images extracted and read from the cache, images/s, peak memory."""
    created: str
    """UTC, ISO 8601."""
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self)

    @functools.cached_property
    def record_id(self) -> str:
        """sha256 over everything that changes the numbers and nothing that does not."""
        return record_id(
            weights_digest=self.model.weights_digest,
            arch=self.model.arch,
            features=cards.plain(self.features),
            task_digest=self.task.digest,
            protocol={"name": self.protocol.name, "version": self.protocol.version, "recipe": self.protocol.recipe},
            seed=self.seed,
            truncated=self.task.truncated,
        )

    @functools.cached_property
    def question(self) -> str:
        """sha256 over what was asked: task, protocol, recipe and requested features. One column, one question."""
        return digest_json(
            {
                "features": cards.plain(self.features.requested),
                "protocol": {
                    "name": self.protocol.name,
                    "version": self.protocol.version,
                    "recipe": cards.plain(self.protocol.recipe),
                },
                "task": self.task.digest,
                "truncated": self.task.truncated,
            }
        )

    @property
    def headline(self) -> MetricValue:
        """The task's headline metric, read of the protocol's headline predictions."""
        return self.metrics[self.task.metric]

    def agrees(self, other: Record) -> bool:
        """Return whether two runs of one job gave the same values and n of every metric that both have; a later release
        may know more metrics."""
        both = self.metrics.keys() & other.metrics.keys()
        mine, theirs = self.metrics, other.metrics
        return all((mine[name].value, mine[name].n) == (theirs[name].value, theirs[name].n) for name in both)

    def definition(self, metric: str) -> MetricDefinition:
        """Return how to read a metric of this record, given as "top1" or "k=200/top1"."""
        return self.task.metrics[metric.rpartition("/")[2]]

    @functools.cached_property
    def content_digest(self) -> str:
        """sha256 over everything in the record, its identity included."""
        return hashlib.sha256(self._text(STATED[:2]).encode()).hexdigest()

    def _text(self, stated: Sequence[str]) -> str:
        """Return canonical JSON of the record with some of its digests written out."""
        parts = {name: _canonical(getattr(self, name)) for name, _ in _field_types(Record) if name not in SHARED}  # type: ignore[arg-type]
        parts |= {name: getattr(self, name).canonical for name in SHARED}
        parts |= {key: f'"{getattr(self, key)}"' for key in stated}
        return f"{{{','.join(f'{json.dumps(key)}:{parts[key]}' for key in sorted(parts))}}}"

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values, with `record_id`, `question` and `content_digest` written out."""
        body: dict[str, Any] = cards.plain(self)
        return body | {key: getattr(self, key) for key in STATED}

    def to_text(self) -> str:
        """Return the record as one line of canonical JSON, without a line break: the same record, the same bytes."""
        return self._text(STATED)

    @staticmethod
    def from_json(body: Mapping[str, Any], where: str) -> Record:
        """Return the record; raise UsageError naming `where` and the field for another schema, wrong keys or types,
        values that contradict each other, or a digest that is off."""
        _check_schema(body.get("schema"), where)
        rest = {key: value for key, value in body.items() if key not in STATED}
        try:
            for key, kind in SHARED.items():
                if isinstance(rest.get(key), Mapping):
                    rest[key] = _shared(kind, canonical_json(rest[key]), key)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        record = cards.from_table(Record, rest, where)
        try:
            wrong = [key for key in STATED if getattr(record, key) != body.get(key)]
        except UnicodeEncodeError:
            raise UsageError(f"{where}: holds half a character (a lone surrogate), which UTF-8 cannot keep") from None
        if wrong:
            raise UsageError(f"{where}: {wrong[0]} does not match the content; the record was edited or damaged")
        return record

    @staticmethod
    def from_text(text: str | bytes, where: str) -> Record:
        """Return the record written as one JSON object; raise UsageError naming `where` for anything else."""
        return Record.from_json(parse(text, where), where)

    @staticmethod
    def read(path: Path) -> Record:
        """Return the record in a file; raise UsageError naming file and field, or MissingError if it cannot be read."""
        try:
            return Record.from_text(path.read_bytes(), str(path))
        except OSError as error:
            raise MissingError(f"cannot read {path}: {error.strerror or error}") from error


SHARED = {
    "features": FeaturesBlock,
    "model": Model,
    "protocol": ProtocolBlock,
    "samples": Samples,
    "task": Task,
}
"""The blocks of a record by field name; many records of one store hold equal ones."""


def parse(text: str | bytes, where: str) -> dict[str, Any]:
    """Return the JSON object in `text`; raise UsageError naming `where` for broken JSON, NaN, or another JSON value."""

    def refuse(word: str) -> float:
        raise UsageError(f"{where}: holds {word}, which is not JSON")

    try:
        body = json.loads(text, parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}: is not whole JSON: {error}") from None
    except RecursionError:
        raise UsageError(f"{where}: is nested too deeply to be a record") from None
    if not isinstance(body, dict):
        raise UsageError(f"{where}: is not a record but JSON of another kind")
    return body


def _check_schema(schema: Any, where: str) -> None:
    """Raise UsageError unless `schema` is the one that this version reads."""
    if schema == SCHEMA:
        return
    family, _, number = schema.rpartition("/") if isinstance(schema, str) else ("", "", "")
    ours, _, newest = SCHEMA.rpartition("/")
    if family == ours and number.isdecimal() and int(number) > int(newest):
        raise UsageError(f"{where}: schema {schema!r} is newer than {SCHEMA!r}; update ssl-bench to read it")
    raise UsageError(f"{where}: schema is {schema!r}, not {SCHEMA!r}; this is not a record of ssl-bench")


def _check(record: Record) -> None:
    """Raise UsageError, naming the field, where a record contradicts itself."""
    task, metrics = record.task, record.metrics
    if task.metric not in metrics:
        raise UsageError(f"metrics: the headline metric {task.metric!r} is missing; there is {', '.join(metrics)}")
    if task.metric not in task.metrics:
        raise UsageError(f"task.metrics: the headline metric {task.metric!r} is not defined")
    if "test" not in task.samples:
        raise UsageError("task.samples: the number of samples of 'test' is missing")
    for name, metric in metrics.items():
        _check_metric(record, name, metric)
    columns = record.samples.columns  # episodes ask a sample often, shifts ask others, and what has no ids asks none
    one_per_sample = not {"episode", "set"} & set(columns) and ("sample_id" in columns or not columns)
    if one_per_sample and not task.truncated and record.samples.n != task.samples["test"]:
        raise UsageError(f"samples.n is {record.samples.n}, but the test split has {task.samples['test']} samples")


def _check_metric(record: Record, name: str, metric: MetricValue) -> None:
    """Raise UsageError where a metric leaves its range or interval, or belies another metric or the task."""
    task, (variant, slash, short) = record.task, name.rpartition("/")
    if short not in task.metrics:
        raise UsageError(f"metrics.{name}: task.metrics does not define {short!r}")
    definition, interval = task.metrics[short], metric.interval
    if not definition.low <= metric.value <= definition.high:
        raise UsageError(f"metrics.{name}: {metric.value} is outside {definition.low}..{definition.high}")
    if interval and not interval.low <= metric.value <= interval.high:
        raise UsageError(f"metrics.{name}: {metric.value} is outside its interval {interval.low}..{interval.high}")
    columns = record.samples.columns
    ranked = "hits" in columns or "hits_easy" in columns
    asked, expected = _asked(record, variant)
    whole = metric.n <= expected if ranked else metric.n == expected
    if "episode" not in columns and not task.truncated and not whole:  # a query with nothing to find does not count
        raise UsageError(f"metrics.{name}: n is {metric.n}, but {asked} has {expected} samples")
    first = record.metrics.get(f"{variant}{slash}top1") if short == "top5" else None
    if first and metric.value < first.value:
        raise UsageError(f"metrics.{name}: {metric.value} is below the {first.value} of top1, which it contains")


def _asked(record: Record, variant: str) -> tuple[str, int]:
    """Return which samples stand behind a metric, and how many: those of test, or, where shifted sets were asked, of
    the set that it is named after or of all of them."""
    samples = record.task.samples
    shifted = {role: count for role, count in samples.items() if role not in ("train", "val", "test")}
    if "set" not in record.samples.columns or variant == "test":
        return "the test split", samples["test"]
    return (variant, shifted[variant]) if variant in shifted else ("all shifted sets", sum(shifted.values()))


def record_id(
    *,
    weights_digest: str,
    arch: Mapping[str, Any],
    features: Mapping[str, Any],
    task_digest: str,
    protocol: Mapping[str, Any],
    seed: int,
    truncated: int,
) -> str:
    """Return the identity of a job's record, which a plan knows before anything is computed."""
    return digest_json(
        {
            "arch": cards.plain(arch),
            "features": cards.plain(features),
            "protocol": cards.plain(protocol),
            "schema": SCHEMA,
            "seed": seed,
            "task": task_digest,
            "truncated": truncated,
            "weights": weights_digest,
        }
    )


__all__ = [
    "SCHEMA",
    "FeaturesBlock",
    "Interval",
    "MetricDefinition",
    "MetricValue",
    "Model",
    "ProtocolBlock",
    "Record",
    "Samples",
    "Task",
    "canonical_json",
    "parse",
    "record_id",
]

"""The record of one job: complete enough to be read alone, immutable, and named by what caused its numbers.

A record that contradicts itself cannot be made or read, and it keeps the bytes of the version that wrote it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from ssl_bench import cards
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import canonical_json, digest_json
from ssl_bench.results import invariants, migrations
from ssl_bench.results.blocks import Block, Whole, joined, known_part
from ssl_bench.results.parts import (
    Code,
    Cost,
    Environment,
    FeaturesBlock,
    Interval,
    LabelMap,
    MetricDefinition,
    MetricValue,
    Model,
    ProtocolBlock,
    Samples,
    Task,
)

SCHEMA: Literal["ssl-bench.record/1.1"] = "ssl-bench.record/1.1"
IDENTITY = "ssl-bench.record/1"
"""What stands for the schema in a record's id: a minor version changes no identity."""
STATED = ("record_id", "question", "content_digest")
"""Digests that are written into a record's JSON and checked when it is read."""


@dataclasses.dataclass(frozen=True)
class Record(Block):
    """What was measured in one job."""

    model: Model
    features: FeaturesBlock
    task: Task
    protocol: ProtocolBlock
    seed: Whole
    metrics: Mapping[str, MetricValue]
    """Metric name to value; a further reading of the same trial is named "variant/metric", such as "k=200/top1"."""
    samples: Samples
    environment: Annotated[Mapping[str, Any], Environment]
    """Versions, device and machine; enters no identity."""
    code: Annotated[Mapping[str, Any], Code]
    timing: Annotated[Mapping[str, float], Cost]
    created: str
    """UTC, ISO 8601."""
    schema: Literal["ssl-bench.record/1", "ssl-bench.record/1.1"] = SCHEMA

    def __post_init__(self) -> None:
        super().__post_init__()
        invariants.check(self)

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
        """sha256 over everything in the record, its identity included, as its own version of the schema writes it."""
        return hashlib.sha256(self._text(STATED[:2]).encode()).hexdigest()

    def _text(self, stated: Sequence[str]) -> str:
        """Return canonical JSON of the record with some of its digests written out."""
        return joined(sorted([*self.texts(), *((key, f'"{getattr(self, key)}"') for key in stated)]))

    def to_text(self) -> str:
        """Return the record as one line of canonical JSON, without a line break: the same record, the same bytes.

        A record that was read as another minor version wrote it gives that version's bytes.
        """
        return str(self.__dict__.get("_as_written") or self._text(STATED))

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values, with `record_id`, `question` and `content_digest` written out."""
        body: dict[str, Any] = json.loads(self.to_text())
        return body

    @staticmethod
    def from_json(body: Mapping[str, Any], where: str) -> Record:
        """Return the record; raise UsageError naming `where` and the field for another schema, wrong keys or types,
        values that contradict each other, or a digest that is off."""
        try:
            return _read(body)
        except RecursionError:
            raise UsageError(f"{where}: is nested too deeply to be a record") from None
        except ValueError as error:  # of writing: a number beyond float64, or half a character
            raise UsageError(f"{where}: holds what JSON cannot keep: {_one_line(str(error))}") from None
        except UsageError as error:
            raise type(error)(f"{where}: {_one_line(str(error))}") from error

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


SHARED: Mapping[str, type[Block]] = {
    "features": FeaturesBlock,
    "model": Model,
    "protocol": ProtocolBlock,
    "samples": Samples,
    "task": Task,
}
"""The blocks of a record by field name; many records of one store hold equal ones."""


@functools.lru_cache(maxsize=4096)
def _shared(kind: type[Block], text: str) -> Block:
    """Return the block that is written as `text`; equal blocks of many records are one object, checked once."""
    return kind.from_table(json.loads(text))


def _read(body: Mapping[str, Any]) -> Record:
    minor = migrations.minor_version(body.get("schema"))
    for key in STATED:
        if not isinstance(digest := body.get(key), str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise UsageError(f"{key} is missing" if key not in body else f"{key} is no sha256")
    rest = {key: value for key, value in body.items() if key not in STATED}
    if minor > migrations.MINOR:
        table = known_part(Record, rest) | {"schema": SCHEMA}
    else:
        table = migrations.lifted(rest, minor)
    for key, kind in SHARED.items():
        if isinstance(table.get(key), Mapping):
            try:
                table[key] = _shared(kind, canonical_json(table[key]))  # type: ignore[arg-type]
            except UsageError as error:
                raise UsageError(f"{key}.{error}") from error
    record = Record.from_table(table)
    if minor != migrations.MINOR:
        _keep_as_written(record, body)
    wrong = [key for key in STATED if getattr(record, key) != body[key]]
    if wrong:
        raise invariants.ContradictionError(f"{wrong[0]} does not match the content; the record was edited or damaged")
    return record


def _keep_as_written(record: Record, body: Mapping[str, Any]) -> None:
    """Let the record keep text and digest of the version that wrote it."""
    rest = {key: value for key, value in body.items() if key != "content_digest"}
    record.__dict__["content_digest"] = digest_json(rest)
    record.__dict__["_as_written"] = canonical_json(body)


def _one_line(message: str) -> str:
    """Return a message without line breaks and what steers a terminal: its words may be a stranger's."""
    clean = "".join(char if char.isprintable() else "�" for char in message)
    return clean if len(clean) <= 500 else f"{clean[:499]}…"


def parse(text: str | bytes, where: str) -> dict[str, Any]:
    """Return the JSON object in `text`; raise UsageError naming `where` for broken JSON, NaN, a key that stands twice,
    or another JSON value."""

    def refuse(word: str) -> float:
        raise UsageError(f"{where}: holds {word}, which is not JSON")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            raise UsageError(f"{where}: holds one key twice in one object, so that readers would differ on its value")
        return table

    try:
        body = json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"{where}: is not whole JSON: {error}") from None
    except ValueError:
        raise UsageError(f"{where}: holds a number of thousands of digits") from None
    except RecursionError:
        raise UsageError(f"{where}: is nested too deeply to be a record") from None
    if not isinstance(body, dict):
        raise UsageError(f"{where}: is not a record but JSON of another kind")
    return body


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
            "schema": IDENTITY,
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
    "LabelMap",
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

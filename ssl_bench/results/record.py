"""The record of one job: complete enough to be read alone, immutable, and named by what caused its numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ssl_bench import cards
from ssl_bench.errors import UsageError
from ssl_bench.files import canonical_json, digest_json

SCHEMA = "ssl-bench.record/1"


@dataclasses.dataclass(frozen=True)
class Model:
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
class FeaturesBlock:
    """Which features were asked for and which were used."""

    requested: Mapping[str, Any]
    """{"pooled": "default" or a name}; boards and comparisons group on it."""
    resolved: Mapping[str, Any]
    """{"pooled", "input": {size, resize, resize_to, interpolation, channels, mean, std}, "precision"}."""


@dataclasses.dataclass(frozen=True)
class MetricDefinition:
    """How a metric's number is to be read."""

    unit: str
    higher_is_better: bool
    low: float
    high: float
    chance: float | None
    """What guessing uniformly at random gives, where that is a number."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What was asked of the data."""

    name: str
    title: str
    version: int
    kind: str
    classes: int
    digest: str
    """sha256 over the content, ids, labels and order of every split, and the metric."""
    samples: Mapping[str, int]
    """Samples per split."""
    metric: str
    """The headline metric."""
    metrics: Mapping[str, MetricDefinition]
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    truncated: int = 0
    """Samples kept per split under `--limit`; 0 means all. A truncated record never enters a board."""


@dataclasses.dataclass(frozen=True)
class ProtocolBlock:
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
class Interval:
    """An interval for a metric's value."""

    low: float
    high: float
    level: float
    method: str


@dataclasses.dataclass(frozen=True)
class MetricValue:
    """One measured number."""

    value: float
    n: int
    """Test samples behind it."""
    interval: Interval | None = None


@dataclasses.dataclass(frozen=True)
class Samples:
    """Where the per-sample predictions lie: `samples/<aa>/<sha256>.parquet` under the results root."""

    sha256: str
    n: int
    columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Record:
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

    @property
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

    @property
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

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values, with `record_id`, `question` and `content_digest` written out."""
        body: dict[str, Any] = cards.plain(self) | {"record_id": self.record_id, "question": self.question}
        return body | {"content_digest": digest_json(body)}

    @staticmethod
    def from_json(body: Mapping[str, Any], where: str) -> Record:
        """Return the record; raise UsageError naming `where` for another schema, wrong keys or a digest that is off."""
        schema = body.get("schema")
        if schema != SCHEMA:
            raise UsageError(f"{where}: schema {schema!r} is not {SCHEMA!r}; another version of ssl-bench wrote it")
        stated = {key: body.get(key) for key in ("record_id", "question", "content_digest")}
        rest = {key: value for key, value in body.items() if key not in stated}
        record = cards.from_table(Record, rest, where)
        written = record.to_json()
        for key, value in stated.items():
            if written[key] != value:
                raise UsageError(f"{where}: {key} does not match the content; the record was edited or damaged")
        return record


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


__all__ = ["SCHEMA", "Record", "canonical_json", "record_id"]

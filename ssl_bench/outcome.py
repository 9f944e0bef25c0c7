"""What came of a run: records, and jobs that gave none."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ssl_bench.errors import SslBenchError
from ssl_bench.results.record import MetricValue, Record

if TYPE_CHECKING:
    from pandas import DataFrame

    from ssl_bench.jobs import Job


@dataclasses.dataclass(frozen=True, eq=False)
class Failure:
    """A job that gave no record, and why."""

    job: Job
    error: SslBenchError


@dataclasses.dataclass(eq=False)
class Outcome:
    """What came of a run."""

    written: list[Record] = dataclasses.field(default_factory=list)
    present: list[Record] = dataclasses.field(default_factory=list)
    """Records that were there already."""
    failures: list[Failure] = dataclasses.field(default_factory=list)
    skipped: list[Failure] = dataclasses.field(default_factory=list)
    """Jobs whose task cannot be asked by their recipe, and why."""

    @property
    def records(self) -> list[Record]:
        """Every record that the run asked for, those that were there first."""
        return [*self.present, *self.written]

    def frame(self, *, every_metric: bool = False) -> DataFrame:
        """Return the records as a table, a row for each: its headline metric, or with `every_metric` a row per metric.

        Values and the bounds `low` and `high` of 95 % intervals are in the metric's unit: 0.812 is 81.2 %.
        """
        from pandas import DataFrame

        rows = [
            _row(record, name, value)
            for record in self.records
            for name, value in record.metrics.items()
            if every_metric or name == record.task.metric
        ]
        return DataFrame(rows, columns=COLUMNS)


COLUMNS = [
    *("model", "task", "protocol", "seed", "metric", "value", "low", "high", "n", "unit", "chance"),
    *("record_id", "question"),
]


def _row(record: Record, name: str, metric: MetricValue) -> tuple[Any, ...]:
    definition, bounds = record.definition(name), metric.interval
    asked = (record.model.name, record.task.name, record.protocol.name, record.seed, name)
    found = (metric.value, bounds.low if bounds else None, bounds.high if bounds else None, metric.n)
    return (*asked, *found, definition.unit, definition.chance, record.record_id, record.question)

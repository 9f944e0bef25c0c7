"""Means over tasks, which stand only where every task of a group or suite is answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from ssl_bench.aggregators import Aggregator, Answer
from ssl_bench.leaderboard.columns import Column
from ssl_bench.results.record import MetricDefinition


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean over tasks, or why there is none."""

    value: float | None
    present: int
    total: int


@dataclasses.dataclass(frozen=True)
class Means:
    """Makes the means of one table: an aggregator, the groups that its protocol asks, and its columns."""

    aggregator: Aggregator
    groups: Mapping[str, Sequence[str]]
    columns: tuple[Column, ...]

    @property
    def definition(self) -> MetricDefinition:
        """How the means are read; where they exist, all columns have one unit and direction."""
        return (
            MetricDefinition("fraction", True, 0.0, 1.0, 0.0)
            if self.aggregator.normalised
            else self.columns[0].definition
        )

    def of(self, values: Sequence[float | None]) -> tuple[dict[str, Mean], Mean]:
        """Return the means of the groups and of all, from a value per column; none where a task is missing."""
        known = {
            column.task.name: _answer(value, column.definition)
            for column, value in zip(self.columns, values, strict=True)
            if value is not None
        }
        answers = {
            group: {task: known[task] for task in tasks if task in known} for group, tasks in self.groups.items()
        }
        groups = {
            group: _whole(self.aggregator.mean([*answers[group].values()]), answers[group], tasks)
            for group, tasks in self.groups.items()
        }
        every = {task for tasks in self.groups.values() for task in tasks}
        return groups, _whole(self.aggregator.aggregate(answers), known, every)


def _whole(value: float | None, known: Mapping[str, Answer], tasks: Collection[str]) -> Mean:
    """Return a mean that stands only where every task is known, with how many are."""
    present = sum(task in known for task in tasks)
    return Mean(value if present == len(tasks) else None, present, len(tasks))


def _answer(value: float, definition: MetricDefinition) -> Answer:
    best = definition.high if definition.higher_is_better else definition.low
    return Answer(value, definition.unit, definition.higher_is_better, definition.chance, best)

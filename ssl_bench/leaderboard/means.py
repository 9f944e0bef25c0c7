"""Means over tasks, which stand only where every task of a group or suite is answered."""

from __future__ import annotations

import dataclasses
import functools
import math
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
    error: float | None = None
    """Standard error over test samples, and over seeds where there are several; None where a task has no interval."""


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

    @functools.cached_property
    def weights(self) -> dict[str, tuple[float, ...]]:
        """What each column's value adds to a group's mean, or under "" to that of all: every aggregator is linear."""
        count = len(self.columns)
        start, *ends = (self._of([float(i == one) for i in range(count)]) for one in range(-1, count))
        return {
            name: tuple(end[name].value - mean.value for end in ends)  # type: ignore[operator]
            for name, mean in start.items()
            if mean.value is not None
        }

    def of(self, values: Sequence[float | None], errors: Sequence[float | None] = ()) -> tuple[dict[str, Mean], Mean]:
        """Return the means of the groups and of all, from a value per column; none where a task is missing.

        `errors` are standard errors, which tasks are taken to have independently of each other.
        """
        means = self._of(values)
        if errors:
            means = {name: dataclasses.replace(mean, error=self._error(name, errors)) for name, mean in means.items()}
        return means, means.pop("")

    def _error(self, name: str, errors: Sequence[float | None]) -> float | None:
        parts = [(weight, error) for weight, error in zip(self.weights.get(name, ()), errors, strict=False) if weight]
        if not parts or any(error is None for _, error in parts):
            return None
        return math.hypot(*(weight * error for weight, error in parts if error is not None))

    def _of(self, values: Sequence[float | None]) -> dict[str, Mean]:
        known = {
            column.task.name: answer(value, column.definition)
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
        return groups | {"": _whole(self.aggregator.aggregate(answers), known, every)}


def _whole(value: float | None, known: Mapping[str, Answer], tasks: Collection[str]) -> Mean:
    """Return a mean that stands only where every task is known, with how many are."""
    present = sum(task in known for task in tasks)
    return Mean(value if present == len(tasks) else None, present, len(tasks))


def answer(value: float, definition: MetricDefinition) -> Answer:
    """Return a value with what its metric says of values; the best is the task's ceiling where it states one."""
    end = definition.high if definition.higher_is_better else definition.low
    best = end if definition.ceiling is None else definition.ceiling
    return Answer(value, definition.unit, definition.higher_is_better, definition.chance, best)

"""A line per model with its value and interval: one task, the mean of a group, or a rank."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ssl_bench.leaderboard import text
from ssl_bench.leaderboard.plots.figure import Figure, absent, first, slug
from ssl_bench.leaderboard.plots.svg import Axis, axis, dot, label, line, svg
from ssl_bench.leaderboard.plots.svg import text as words
from ssl_bench.leaderboard.ranking import Row, Table
from ssl_bench.leaderboard.rows import Z
from ssl_bench.results.describe import number
from ssl_bench.results.record import MetricDefinition

LABELS, RIGHT, LINE, TOP, BOTTOM = 186, 20, 19, 8, 26
"""Units of the view box: the space for names, the right margin, one model, and above and below the models."""
NAME = 21
"""Letters of a model's name that fit."""


@dataclasses.dataclass(frozen=True)
class Dot:
    """One model's value."""

    label: str
    value: float
    low: float | None
    high: float | None
    control: bool
    best: bool = False

    @property
    def kind(self) -> str:
        """The class of its elements."""
        return "control" if self.control else "best" if self.best else "plain"


def of_tasks(table: Table) -> list[Figure]:
    """Return a plot per task."""
    named = [(text.label(row), row) for row in table.rows]
    return [_of_task(table, index, named) for index in range(len(table.columns))]


def _of_task(table: Table, index: int, named: Sequence[tuple[str, Row]]) -> Figure:
    column = table.columns[index]
    sign = -1 if column.definition.higher_is_better else 1
    cells = [(sign * cell.value, name, row.control, cell) for name, row in named if (cell := row.cells[index])]
    best, more = first(sorted(cells, key=lambda item: item[:2]))
    shown = [Dot(name, cell.value, cell.low, cell.high, control, cell.best) for _, name, control, cell in best]
    title = f"{column.task.title}, {column.task.metric}, {table.protocol}"
    note = f"95 % intervals{'' if column.definition.chance is None else '; dashed: chance'}.{more}"
    return Figure(
        f"{slug(table.protocol)}-task-{slug(column.task.name)}",
        f"{column.task.title} ({column.task.metric})",
        note,
        dot_plot(title, shown, column.definition),
    )


def of_groups(table: Table) -> list[Figure]:
    """Return a plot per group of tasks, of its mean; none where the mean of all is the only one."""
    groups = text.means_of(table.groups)
    return [_of_group(table, group, place) for place, group in enumerate(groups)]


def _of_group(table: Table, group: str, place: int) -> Figure:
    id, title = f"{slug(table.protocol)}-group-{place}", f"{group}, mean"
    dots = []
    for row in table.rows:
        mean = row.groups[group]
        if mean.value is not None:
            half = None if mean.error is None else Z * mean.error
            low, high = (None, None) if half is None else (mean.value - half, mean.value + half)
            dots.append(Dot(text.label(row), mean.value, low, high, row.control))
    if not dots:
        return absent(id, title, "no model has answered every task of the group")
    sign = -1 if table.means.higher_is_better else 1
    shown, more = first(sorted(dots, key=lambda dot: (sign * dot.value, dot.label)))
    note = f"Lines are 95 % intervals over test samples, and over seeds where there are several.{more}"
    definition = dataclasses.replace(table.means, chance=None)  # of the columns' metric, not of the group
    return Figure(id, title, note, dot_plot(f"{title}, {table.protocol}", shown, definition))


def dot_plot(title: str, dots: Sequence[Dot], definition: MetricDefinition) -> str:
    """Return a line per model with its value and interval, and chance as a dashed line."""
    ends = [bound for dot in dots for bound in (dot.low, dot.high, dot.value) if bound is not None]
    if definition.chance is not None:
        ends.append(definition.chance)
    scale = axis(min(ends), max(ends), LABELS, 460 - RIGHT, percent=definition.unit == "fraction")
    said = "; ".join(_said(dot, definition) for dot in dots)
    return svg("dots", title, said, TOP + LINE * len(dots) + BOTTOM, strip(dots, scale, definition.chance))


def _said(one: Dot, definition: MetricDefinition) -> str:
    value = f"{one.label} {number(one.value, definition)}"
    if one.low is None or one.high is None:
        return value
    return f"{value} ({number(one.low, definition)} to {number(one.high, definition)})"


def strip(dots: Sequence[Dot], scale: Axis, chance: float | None = None) -> list[str]:
    """Return the elements of a line per model, and of the axis below them."""
    foot = TOP + LINE * len(dots)
    parts = []
    for tick, said in scale.ticks:
        parts.append(line("grid", scale.at(tick), TOP, scale.at(tick), foot + 4))
        parts.append(words(scale.at(tick), foot + BOTTOM - 6, said, "tick", "middle"))
    if chance is not None:
        parts.append(line("chance", scale.at(chance), TOP, scale.at(chance), foot + 4, "chance"))
    for i, one in enumerate(dots):
        parts.append(_line(one, TOP + LINE * (i + 0.5), scale))
    return parts


def _line(one: Dot, y: float, scale: Axis) -> str:
    parts = [label(LABELS - 10, y + 4, one.label, NAME, one.kind), f'<g class="{one.kind}">']
    if one.low is not None and one.high is not None:
        parts.append(line("range", scale.at(one.low), y, scale.at(one.high), y))
    return "".join([*parts, dot(scale.at(one.value), y), "</g>"])

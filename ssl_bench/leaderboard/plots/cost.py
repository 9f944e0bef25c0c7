"""The mean against what a model costs: its parameters, operations per image, and images per second on one machine.

The Pareto front joins the models that no other beats in both; controls are shown and are no part of it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence

from ssl_bench.leaderboard import text
from ssl_bench.leaderboard.plots.figure import Figure, absent, first, slug
from ssl_bench.leaderboard.plots.scatter import Point, across, scatter, upward
from ssl_bench.leaderboard.plots.svg import Axis, amount, axis, log_axis, path, svg
from ssl_bench.leaderboard.ranking import Row, Table
from ssl_bench.results.describe import number


@dataclasses.dataclass(frozen=True)
class _Cost:
    """One way of counting cost."""

    id: str
    name: str
    of: Callable[[Row], float | None]
    less_is_better: bool
    unknown: str
    """What is said of models without it."""


def figures(table: Table) -> list[Figure]:
    """Return the plots of the table's mean against each cost."""
    machine = _machine(table.rows)
    costs = (
        _Cost("parameters", "parameters", lambda row: row.model.parameters or None, True, "without parameters"),
        _Cost("flops", "FLOPs per image", lambda row: row.costs.flops, True, "without a count of operations"),
        _Cost(
            "speed",
            f"images per second, {machine or 'unknown hardware'}",
            lambda row: row.costs.speeds.get(machine),
            False,
            "not timed on it",
        ),
    )
    return [_figure(table, cost) for cost in costs]


def _machine(rows: Sequence[Row]) -> str:
    """Return the hardware on which most models were timed: speeds of one machine alone can be compared."""
    counts = Counter(name for row in rows if not row.control for name in row.costs.speeds)
    return min(counts, key=lambda name: (-counts[name], name), default="")


def _figure(table: Table, cost: _Cost) -> Figure:
    id, title = f"{slug(table.protocol)}-{cost.id}", f"Mean against {cost.name}"
    rows = [row for row in table.rows if row.mean.value is not None]
    known = [row for row in rows if cost.of(row)]
    if sum(not row.control for row in known) < 2:
        return absent(id, title, "fewer than two models have both a mean and a count of this cost in their records")
    shown, more = first(known)
    points = _points(shown, table, cost)
    front = _front(points, cost, table)
    points = [dataclasses.replace(point, picked=point in front) for point in points]
    xs, ys = [point.x for point in points], [point.y for point in points]
    x = log_axis(min(xs), max(xs), *across())
    y = axis(min(ys), max(ys), *upward(), percent=table.means.unit == "fraction")
    beside = "mean, %" if table.means.unit == "fraction" else f"mean, {table.means.unit}"
    corners = _corners(front, x, y, x.end if cost.less_is_better else x.begin)
    parts = [path("front", corners), *scatter(points, x, y, cost.name, beside, corners)]
    lacking = f" Not shown: {len(rows) - len(known)} {cost.unknown}." if len(rows) > len(known) else ""
    note = f"Along the line, no model is better in both; hollow points are controls.{lacking}{more}"
    said = "Front: " + "; ".join(point.tip for point in front) + ". Others: "
    said += "; ".join(point.tip for point in points if not point.picked)
    return Figure(id, title, note, svg("scatter", f"{title}, {table.protocol}", said, 300, parts))


def _points(rows: Sequence[Row], table: Table, cost: _Cost) -> list[Point]:
    points = []
    for row in rows:
        x, y, label = cost.of(row) or 0.0, row.mean.value or 0.0, text.label(row)
        tip = f"{label}, {number(y, table.means)} at {amount(x)}"
        points.append(Point(label, x, y, row.control, tip=tip))
    return points


def _front(points: Sequence[Point], cost: _Cost, table: Table) -> list[Point]:
    """Return the models that no other beats in one and equals in the other, cheapest first."""
    cheap = 1 if cost.less_is_better else -1
    good = -1 if table.means.higher_is_better else 1
    front: list[Point] = []
    for point in sorted(
        (one for one in points if not one.control), key=lambda one: (cheap * one.x, good * one.y, one.label)
    ):
        if not front or good * point.y < good * front[-1].y or (point.x, point.y) == (front[-1].x, front[-1].y):
            front.append(point)
    return front


def _corners(front: Sequence[Point], x: Axis, y: Axis, end: float) -> list[tuple[float, float]]:
    """Return the front as steps to the dear end of the axis: at a cost, the best that can be had for it."""
    places = [(x.at(point.x), y.at(point.y)) for point in front]
    corners = places[:1]
    for px, py in places[1:]:
        corners += [(px, corners[-1][1]), (px, py)]
    return [*corners, (end, corners[-1][1])]

"""One protocol's mean against another's: whether two ways of asking agree on which model is better."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from ssl_bench.leaderboard import text
from ssl_bench.leaderboard.costs import key_of
from ssl_bench.leaderboard.plots.figure import MOST, Figure, absent, slug
from ssl_bench.leaderboard.plots.scatter import HEIGHT, Point, across, scatter, upward
from ssl_bench.leaderboard.plots.svg import Axis, axis, line, svg
from ssl_bench.leaderboard.ranking import Board, Row, Table
from ssl_bench.results.describe import number

LEAST = 3
"""Models, controls aside, below which ranks say nothing of agreement."""
PAIRS = 10
"""Pairs of protocols that are shown; of more, those with the first protocol."""


def figures(board: Board) -> list[Figure]:
    """Return a plot per pair of protocols."""
    pairs = list(itertools.combinations(board.tables, 2))
    if len(pairs) > PAIRS:
        pairs = [(board.tables[0], other) for other in board.tables[1:]]
    return [_figure(one, other) for one, other in pairs]


def _figure(one: Table, other: Table) -> Figure:
    id, title = f"{slug(one.protocol)}-{slug(other.protocol)}", f"{other.protocol} against {one.protocol}"
    if {column.task.name for column in one.columns} != {column.task.name for column in other.columns}:
        return absent(id, title, "the two answer different tasks, so that their means say different things")
    left, right = _means(one), _means(other)
    both = [key for key in left if key in right]
    rows = [left[key] for key in both if not left[key].control]
    if len(rows) < LEAST:
        return absent(id, title, f"fewer than {LEAST} models, controls aside, have both means")
    correlation = spearman(
        [_better(left[key], one) for key in both if not left[key].control],
        [_better(right[key], other) for key in both if not left[key].control],
    )
    points = [_point(left[key], right[key], one, other) for key in both[:MOST]]
    percent = [table.means.unit == "fraction" for table in (one, other)]
    x = axis(min(p.x for p in points), max(p.x for p in points), *across(), percent=percent[0])
    y = axis(min(p.y for p in points), max(p.y for p in points), *upward(), percent=percent[1])
    parts = [*_diagonal(x, y), *scatter(points, x, y, f"{one.protocol}, mean", f"{other.protocol}, mean")]
    note = (
        f"Spearman’s rank correlation of {len(rows)} models, controls aside: {correlation:.2f}. On the dashed line "
        "both means are equal; hollow points are controls."
    )
    if len(both) > MOST:
        note += f" The first {MOST} of {len(both)} models are shown."
    said = f"Rank correlation {correlation:.2f}. " + "; ".join(point.tip for point in points)
    return Figure(id, title, note, svg("scatter", title, said, HEIGHT, parts))


def _means(table: Table) -> Mapping[tuple[str, str, str], Row]:
    """Return the rows that have a mean, by what makes a row of one table that of another."""
    found = {}
    for row in table.rows:
        if row.mean.value is not None:
            record = next(cell.records[0] for cell in row.cells if cell)
            found[row.model.name, *key_of(record)] = row
    return found


def _better(row: Row, table: Table) -> float:
    """Return the mean, higher is better."""
    return (row.mean.value or 0.0) * (1 if table.means.higher_is_better else -1)


def _point(left: Row, right: Row, one: Table, other: Table) -> Point:
    x, y = left.mean.value or 0.0, right.mean.value or 0.0
    label = text.label(left)
    tip = f"{label}, {one.protocol} {number(x, one.means)}, {other.protocol} {number(y, other.means)}"
    return Point(label, x, y, left.control, tip=tip)


def _diagonal(x: Axis, y: Axis) -> list[str]:
    """Return the line of equal values, as far as both axes show it."""
    low, high = max(x.start, y.start), min(x.stop, y.stop)
    return [line("chance", x.at(low), y.at(low), x.at(high), y.at(high), "equal")] if low < high else []


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's rank correlation, ties sharing the middle of their ranks; 0 where all of one side are equal."""
    from ssl_bench.leaderboard.views import ranked

    ranks = [ranked(one), ranked(other)]
    middle = (len(one) + 1) / 2
    left, right = ([rank - middle for rank in side] for side in ranks)
    spread = (sum(value**2 for value in left) * sum(value**2 for value in right)) ** 0.5
    return sum(a * b for a, b in zip(left, right, strict=True)) / spread if spread else 0.0

"""Other ways of making one number of a table's tasks, made anew for every board and named by `aggregator@version`.

With the values of task t placed as p = (v − chance) / (best − chance), and k models of mean rank R over the tasks:

    chance_normalised_mean@1    mean of p over the tasks
    iqm@1                       interquartile mean: of p without the lowest and the highest quarter (rounded down) of
                                the tasks (Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice")
    mean_rank@1                 R, ties sharing the middle of their ranks
    win_rate@1                  (k − R) / (k − 1): the share of other models that are beaten, over all tasks, ties half
    bt_elo@1                    Bradley and Terry's likeliest strengths in Elo points, every task a match of every pair,
                                ties half, and one tie more per pair, so that who wins all has a number; anchored at raw
                                pixels, which every board can have, with 1000

Only models that have answered every task have a number. The last three depend on which models are there: a new one may
turn two old ones round. Controls have no rank, and change none; but for raw pixels as the anchor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from ssl_bench import aggregators
from ssl_bench.leaderboard.means import answer
from ssl_bench.leaderboard.ranking import Row, Table
from ssl_bench.statistics import bradley_terry
from ssl_bench.statistics.bradley_terry import ELO

ANCHOR = "pixels"
"""Adapter of the control whose points are fixed."""
NORMALISED = aggregators.get("chance_normalised_mean@1")


@dataclasses.dataclass(frozen=True)
class View:
    """One number per row of a table."""

    reference: str
    """Name and version."""
    what: str
    values: tuple[float | None, ...]
    relative: bool
    """Whether a number depends on the other models."""
    unit: Literal["fraction", "rank", "points"] = "fraction"
    higher_is_better: bool = True

    def say(self, value: float) -> str:
        """Return a number as it is printed."""
        return {"fraction": f"{100 * value:.1f}", "rank": f"{value:.2f}", "points": f"{value:.0f}"}[self.unit]


def views(table: Table) -> list[View]:
    """Return every view of a table; all values are None where a view cannot be made."""
    places = [_placed(row, table) for row in table.rows]
    ranks = mean_ranks(table)
    models = sum(rank is not None for rank in ranks)
    rates = tuple(None if rank is None or models < 2 else (models - rank) / (models - 1) for rank in ranks)
    return [
        View(
            NORMALISED.reference,
            "mean with chance at 0 and the best at 100",
            tuple(fmean(found) if found else None for found in places),
            False,
        ),
        View(
            "iqm@1",
            "the same without the lowest and the highest quarter of the tasks",
            tuple(iqm(found) if found else None for found in places),
            False,
        ),
        View("win_rate@1", "percent of other models beaten over the tasks, ties half", rates, True),
        View("mean_rank@1", "mean of the ranks on the tasks", ranks, True, "rank", higher_is_better=False),
        View("bt_elo@1", "Elo points by Bradley and Terry, raw pixels at 1000", elo(table), True, "points"),
    ]


def iqm(values: Sequence[float]) -> float:
    """Return the mean without the lowest and the highest ⌊n / 4⌋ values."""
    cut = len(values) // 4
    return fmean(sorted(values)[cut : len(values) - cut])


def pool(table: Table) -> list[Row]:
    """Return the rows that ranks are among: of models that have answered every task of the suite, controls aside."""
    return [row for row in table.rows if complete(row) and not row.control]


def complete(row: Row) -> bool:
    """Return whether a model has answered every task that its table asks."""
    return row.mean.present == row.mean.total and all(row.cells)


def scores(rows: Sequence[Row], table: Table) -> list[list[float]]:
    """Return the values of complete rows, (tasks, models), higher is better."""
    signs = [1.0 if column.definition.higher_is_better else -1.0 for column in table.columns]
    return [[sign * cell.value for row in rows if (cell := row.cells[i])] for i, sign in enumerate(signs)]


def mean_ranks(table: Table) -> tuple[float | None, ...]:
    """Return the mean rank over the tasks of every row in the pool."""
    rows = pool(table)
    found = {id(row): rank for row, rank in zip(rows, _mean_ranks(rows, table), strict=True)}
    return tuple(found.get(id(row)) for row in table.rows)


def elo(table: Table) -> tuple[float | None, ...]:
    """Return the Elo points of every row in the pool; none where the anchor has not answered every task."""
    anchors = [row for row in table.rows if row.model.adapter == ANCHOR and complete(row)][:1]
    rows, tasks = [*pool(table), *anchors], len(table.columns)
    if not anchors or len(rows) < 2:
        return (None,) * len(table.rows)
    count = len(rows)
    won = [tasks * (count - rank) + (count - 1) / 2 for rank in _mean_ranks(rows, table)]
    strengths = bradley_terry(won, tasks + 1)
    points = {id(row): 1000 + ELO * (one - strengths[-1]) for row, one in zip(rows, strengths, strict=True)}
    return tuple(points.get(id(row)) for row in table.rows)


def _mean_ranks(rows: Sequence[Row], table: Table) -> list[float]:
    by_task = [ranked([-value for value in task]) for task in scores(rows, table)]
    return [fmean(ranks) for ranks in zip(*by_task, strict=True)]


def ranked(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, 1 for the lowest; equal values share the middle of their ranks."""
    order = sorted(values)
    first = {value: i for i, value in reversed(list(enumerate(order, start=1)))}
    last = {value: i for i, value in enumerate(order, start=1)}
    return [(first[value] + last[value]) / 2 for value in values]


def wins(row: Row, other: Row, table: Table) -> tuple[float, int]:
    """Return on which share of the tasks that both have answered `row` beats `other`, ties half, and their number."""
    won, tasks = 0.0, 0
    for one, two, column in zip(row.cells, other.cells, table.columns, strict=True):
        if one and two:
            tasks += 1
            better = (one.value > two.value) == column.definition.higher_is_better
            won += 0.5 if one.value == two.value else float(better)
    return (won / tasks if tasks else 0.0), tasks


def _placed(row: Row, table: Table) -> list[float]:
    """Return every task's value with chance at 0 and the best at 1; nothing where a task or its chance is missing."""
    if not complete(row):
        return []
    found = []
    for cell, column in zip(row.cells, table.columns, strict=True):
        value = NORMALISED.placed(answer(cell.value, column.definition)) if cell else None
        if value is None:
            return []
        found.append(value)
    return found

"""Other ways of making one number of a table's tasks, made anew for every board and named by `aggregator@version`.

With the values of task t placed as p = (v − chance) / (best − chance), and k models of mean rank R over the tasks:

    chance_normalised_mean@1    mean of p over the tasks
    iqm@1                       interquartile mean: of p without the lowest and the highest quarter (rounded down) of
                                the tasks (Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice")
    mean_rank@1                 R, ties sharing the middle of their ranks
    win_rate@1                  (k − R) / (k − 1): the share of other models that are beaten, over all tasks, ties half

Only models that have answered every task have a number. The last two depend on which models are there: a new one may
turn two old ones round. Controls have no rank, and change none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import fmean

from ssl_bench import aggregators
from ssl_bench.leaderboard.means import answer
from ssl_bench.leaderboard.ranking import Row, Table

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
    fraction: bool = True
    higher_is_better: bool = True

    def say(self, value: float) -> str:
        """Return a number as it is printed."""
        return f"{100 * value:.1f}" if self.fraction else f"{value:.2f}"


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
        View("mean_rank@1", "mean of the ranks on the tasks", ranks, True, fraction=False, higher_is_better=False),
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
    by_task = [ranked([-value for value in task]) for task in scores(rows, table)]
    found = {id(row): fmean(ranks[i] for ranks in by_task) for i, row in enumerate(rows)} if by_task else {}
    return tuple(found.get(id(row)) for row in table.rows)


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

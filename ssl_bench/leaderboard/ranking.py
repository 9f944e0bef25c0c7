"""The board: a table per protocol, of columns that are one question each and of rows that are one model each.

Two questions in one column are refused. Seeds of one model are averaged. A mean needs every task of its group or suite.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssl_bench.leaderboard import choice
from ssl_bench.leaderboard.columns import Column, one_question
from ssl_bench.leaderboard.declared import entered
from ssl_bench.leaderboard.entries import Division, Entry
from ssl_bench.leaderboard.means import Mean, Means
from ssl_bench.leaderboard.rows import UNKNOWN, Cell, Drift, Row, Standings, by_row, make_row, mark_best, rank
from ssl_bench.model_zoo import ModelCard
from ssl_bench.results.record import MetricDefinition, Record
from ssl_bench.tasks import SuiteCard

NO_DRIFT: Drift = {}
NO_ENTRIES: Mapping[str, Entry] = {}


@dataclasses.dataclass(frozen=True)
class Table:
    """What one protocol found."""

    protocol: str
    version: int
    recipe: Mapping[str, Any]
    groups: tuple[str, ...]
    """Of the suite, those that the protocol asks."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    """Best mean first; models without a mean after them, by name."""
    absent: tuple[str, ...]
    """Tasks of the suite that no record answers."""
    chance: Mean
    means: MetricDefinition
    """How the means are read: as the tasks' metrics, or as a fraction where they are normalised."""


@dataclasses.dataclass(frozen=True)
class Board:
    """What is published."""

    suite: SuiteCard
    tables: tuple[Table, ...]
    skipped: tuple[tuple[str, str], ...]
    """(what, why) of everything that was given and is not in a table."""

    @property
    def records(self) -> list[Record]:
        """Every record behind the tables."""
        cells = (cell for table in self.tables for row in table.rows for cell in row.cells if cell)
        return [record for cell in cells for record in cell.records]


def make_board(
    records: Iterable[Record],
    suite: SuiteCard | None = None,
    cards: Mapping[str, ModelCard] | None = None,
    *,
    protocols: Sequence[str] = (),
    questions: Sequence[str] = (),
    skipped: Iterable[tuple[str, str]] = (),
    drift: Drift = NO_DRIFT,
    standings: Standings = UNKNOWN,
    entries: Mapping[str, Entry] = NO_ENTRIES,
    division: Division = "closed",
) -> Board:
    """Return the board of a suite, or without one, of all tasks that the records answer.

    `protocols` chooses protocols as "knn" or "knn,k=20,version=1"; without it the suite's, or all, are shown.
    `questions` chooses by the first digits of question digests. `skipped` is passed on to the reader of the board;
    `drift` (record id to the records of a job that has unequal numbers, oldest first) marks cells. `standings` says how
    far records were checked. `entries` are what submitters declare, by their models' names; those of another `division`
    are left out.
    Raises IncomparableError where one column would hold two questions, UsageError for a choice that chooses nothing.
    """
    left_out = list(skipped)
    chosen = choice.without_truncated(choice.unique(records), left_out)
    chosen = choice.of_division(chosen, entries, division, left_out)
    chosen = choice.chosen(chosen, protocols, questions)
    suite = suite or choice.suite_of(chosen)
    names = choice.protocol_order(suite, chosen, asked=bool(protocols or questions))
    chosen = choice.of_the_suite(chosen, suite, names, left_out)
    tables = tuple(
        _make_table(
            name, [record for record in chosen if record.protocol.name == name], suite, cards or {}, drift, standings
        )
        for name in names
        if any(record.protocol.name == name for record in chosen)
    )
    return Board(suite, tuple(_declared(table, suite, entries) for table in tables), tuple(left_out))


def _make_table(
    protocol: str,
    records: list[Record],
    suite: SuiteCard,
    cards: Mapping[str, ModelCard],
    drift: Drift,
    standings: Standings,
) -> Table:
    groups = suite.asks(protocol)
    group_of = {task: group for group, tasks in reversed(list(groups.items())) for task in tasks}
    tasks = tuple(dict.fromkeys(task for names in groups.values() for task in names))
    by_task: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_task[record.task.name].append(record)
    columns = tuple(
        Column(one_question(task, protocol, by_task[task]), group_of[task], by_task[task][0].question)
        for task in tasks
        if task in by_task
    )
    means = Means(suite.aggregator, groups, columns)
    rows = [make_row(found, variant, columns, means, cards, drift, standings) for found, variant in by_row(records)]
    first = records[0].protocol
    return Table(
        protocol=protocol,
        version=first.version,
        recipe=first.recipe,
        groups=tuple(groups),
        columns=columns,
        rows=mark_best(sorted(rows, key=lambda row: rank(row, means.definition)), columns),
        absent=tuple(task for task in tasks if task not in by_task),
        chance=means.of([column.definition.chance for column in columns])[1],
        means=means.definition,
    )


def _declared(table: Table, suite: SuiteCard, entries: Mapping[str, Entry]) -> Table:
    """Return the table with what submitters declare of its rows."""
    asked = table.columns, suite.asks(table.protocol), suite.aggregator
    return dataclasses.replace(table, rows=tuple(entered(row, entries, *asked) for row in table.rows))


__all__ = ["Board", "Cell", "Column", "Mean", "Row", "Table", "make_board"]

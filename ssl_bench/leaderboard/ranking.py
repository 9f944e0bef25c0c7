"""The board: a table per protocol, of columns that are one question each and of rows that are one model each.

Two questions in one column are refused. Seeds of one model are averaged. A mean needs every task of its group or suite.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssl_bench import aggregators
from ssl_bench.aggregators import Aggregator
from ssl_bench.leaderboard import choice, costs
from ssl_bench.leaderboard.best import mark_best
from ssl_bench.leaderboard.columns import Column, one_question
from ssl_bench.leaderboard.declared import entered
from ssl_bench.leaderboard.entries import Division, Entry
from ssl_bench.leaderboard.evidence import NOTHING, Evidence
from ssl_bench.leaderboard.means import Mean, Means
from ssl_bench.leaderboard.places import UNRANKED, Places, places
from ssl_bench.leaderboard.rows import NO_STANDINGS, Cell, Drift, Row, Standings, by_row, make_row, rank
from ssl_bench.model_zoo import ModelCard
from ssl_bench.results.record import MetricDefinition, Record
from ssl_bench.tasks import SuiteCard

NO_DRIFT: Drift = {}
NO_ENTRIES: Mapping[str, Entry] = {}
PLAIN = aggregators.get(aggregators.DEFAULT)


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
    aggregator: Aggregator = PLAIN
    weights: tuple[float, ...] = ()
    """What each column's value adds to the mean; empty where there is none."""
    places: Places = UNRANKED


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
    standings: Standings = NO_STANDINGS,
    entries: Mapping[str, Entry] = NO_ENTRIES,
    division: Division = "closed",
    evidence: Evidence = NOTHING,
) -> Board:
    """Return the board of a suite, or without one, of all tasks that the records answer.

    `protocols` chooses protocols as "knn" or "knn,k=20,version=1"; without it the suite's, or all, are shown.
    `questions` chooses by the first digits of question digests. `skipped` is passed on to the reader of the board;
    `drift` (record id to the records of a job that has unequal numbers, oldest first) marks cells. `standings` says how
    far records were checked. `entries` are what submitters declare, by their models' names; those of another `division`
    are left out. `evidence` holds the per-sample predictions for what is bold and for ranks.
    Raises IncomparableError where one column would hold two questions, UsageError for a choice that chooses nothing.
    """
    left_out = list(skipped)
    chosen = choice.without_truncated(choice.unique(records), left_out)
    chosen = choice.of_division(chosen, entries, division, left_out)
    chosen = choice.chosen(chosen, protocols, questions)
    suite = suite or choice.suite_of(chosen)
    names = choice.protocol_order(suite, chosen, asked=bool(protocols or questions))
    chosen = choice.of_the_suite(chosen, suite, names, left_out)
    by_protocol: dict[str, list[Record]] = defaultdict(list)
    for record in chosen:
        by_protocol[record.protocol.name].append(record)
    known = costs.of_records(chosen)
    made = (
        _make_table(name, by_protocol[name], suite, cards or {}, drift, standings)
        for name in names
        if name in by_protocol
    )
    tables = tuple(_declared(_tested(_with_costs(table, known), evidence), suite, entries) for table in made)
    return Board(suite, tables, tuple(left_out))


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
        rows=tuple(sorted(rows, key=lambda row: rank(row, means.definition))),
        absent=tuple(task for task in tasks if task not in by_task),
        chance=means.of([column.definition.chance for column in columns])[1],
        means=means.definition,
        aggregator=suite.aggregator,
        weights=means.weights.get("", ()),
    )


def _declared(table: Table, suite: SuiteCard, entries: Mapping[str, Entry]) -> Table:
    """Return the table with what submitters declare of its rows."""
    asked = table.columns, suite.asks(table.protocol), suite.aggregator
    return dataclasses.replace(table, rows=tuple(entered(row, entries, *asked) for row in table.rows))


def _with_costs(table: Table, known: Mapping[costs.Key, costs.Costs]) -> Table:
    """Return the table with every model's cost, which may have been measured in another table's jobs."""

    def of(row: Row) -> Row:
        first = next(record for cell in row.cells if cell for record in cell.records)
        return dataclasses.replace(row, costs=known.get(costs.key_of(first), costs.UNKNOWN))

    return dataclasses.replace(table, rows=tuple(map(of, table.rows)))


def _tested(table: Table, evidence: Evidence) -> Table:
    """Return the table with what is best in every column and with the ranks of its rows."""
    rows, columns = mark_best(table.rows, table.columns, evidence)
    ranks = places(rows, columns, table.weights, table.means.higher_is_better, evidence)
    evidence.keep()
    return dataclasses.replace(table, rows=rows, columns=columns, places=ranks)


__all__ = ["Board", "Cell", "Column", "Mean", "Row", "Table", "make_board"]

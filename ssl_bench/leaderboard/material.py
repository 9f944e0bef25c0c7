"""What the pages of models and tasks are made of: a board, the cards behind it, and whatever else lies beside it."""

from __future__ import annotations

import bisect
import dataclasses
import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from ssl_bench.leaderboard.ranking import Board, Cell, Row, Table
from ssl_bench.leaderboard.rows import Drift
from ssl_bench.model_zoo import ModelCard
from ssl_bench.results import samples
from ssl_bench.results.record import Record
from ssl_bench.results.verifications import Verification
from ssl_bench.tasks import TaskCard

Images = Callable[[Record, Sequence[str]], Mapping[str, str]]
"""Test samples of a record's task to `data:` addresses of small images; empty where the data is not at hand. It comes
from outside, since a board reads no dataset."""


def nothing(record: Record) -> None:
    """Say that no predictions of a record are at hand."""


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """What the pages of one folder are made of."""

    board: Board
    models: Mapping[str, ModelCard] = dataclasses.field(default_factory=dict)
    """Cards of the measured models that still have one."""
    tasks: Mapping[str, TaskCard] = dataclasses.field(default_factory=dict)
    """Cards of the tasks that still have one."""
    drift: Drift = dataclasses.field(default_factory=dict)
    withdrawn: Sequence[tuple[Record, str]] = ()
    checks: Sequence[Verification] = ()
    """What others found of records, oldest first."""
    predictions: Callable[[Record], samples.Table | None] = nothing
    """A record's per-sample predictions, checked against its numbers, where they are here."""
    images: Images | None = None
    examples: int = 0
    """Images to show of what a model gets right, and as many of what it gets wrong."""

    @functools.cached_property
    def by_model(self) -> dict[str, list[tuple[Table, Row]]]:
        """Model name to its rows, table by table."""
        found: dict[str, list[tuple[Table, Row]]] = defaultdict(list)
        for table in self.board.tables:
            for row in table.rows:
                found[row.model.name].append((table, row))
        return dict(found)

    @functools.cached_property
    def by_task(self) -> dict[str, list[tuple[Table, int]]]:
        """Task name to the tables that ask it, each with the place of its column."""
        found: dict[str, list[tuple[Table, int]]] = defaultdict(list)
        for table in self.board.tables:
            for place, column in enumerate(table.columns):
                found[column.task.name].append((table, place))
        return dict(found)

    def rank(self, table: Table, place: int, cell: Cell) -> tuple[int, int]:
        """Return a cell's place in its column, from 1 for the best, and how many stand there."""
        values, sign = self._ordered[id(table), place]
        return 1 + bisect.bisect_left(values, sign * cell.value), len(values)

    @functools.cached_property
    def _ordered(self) -> dict[tuple[int, int], tuple[list[float], int]]:
        """Table and column to its values, best first, and the sign that makes the best the least."""
        found = {}
        for table in self.board.tables:
            for place, column in enumerate(table.columns):
                sign = -1 if column.definition.higher_is_better else 1
                values = sorted(sign * cell.value for row in table.rows if (cell := row.cells[place]))
                found[id(table), place] = values, sign
        return found

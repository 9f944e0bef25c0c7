"""What the page's script reads: the numbers of every table, and the records behind them in full.

A page of few records holds the numbers as their records do. On a large one they have six digits, which tell any two
shares of up to a million images apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from ssl_bench.files import canonical_json
from ssl_bench.leaderboard import latex, text, traits
from ssl_bench.leaderboard.ranking import Board, Cell, Column, Row, Table
from ssl_bench.results.describe import command
from ssl_bench.results.record import MetricDefinition, Record
from ssl_bench.results.standing import UNCHECKED

POOLED_KEYS = ("model", "features", "task", "environment", "code")
"""Blocks that many records share, written into the page once."""
ID = 8
"""Digits of a record's id on a page that does not hold the record."""


class Pool:
    """Blocks that are written once and named by their places."""

    def __init__(self) -> None:
        self.blocks: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, block: Any) -> int:
        """Return where the block stands, after adding it where no equal one does."""
        key = canonical_json(block)
        if key not in self._places:
            self._places[key] = len(self.blocks)
            self.blocks.append(block)
        return self._places[key]


def of_records(records: Sequence[Record]) -> dict[str, Any]:
    """Return the records for the page's drawer: `pool` holds each shared block once, records name it by position."""
    pool = Pool()
    rows = []
    for record in records:
        body = record.to_json() | {"command": command(record)}
        body |= {key: pool.place(body[key]) for key in POOLED_KEYS}
        rows.append(body | {"protocol": body["protocol"] | {"recipe": pool.place(body["protocol"]["recipe"])}})
    return {"pool": pool.blocks, "records": rows}


def of_tables(board: Board, whole: bool) -> dict[str, Any]:
    """Return the tables as numbers, with what their rows can be chosen by; `whole` says that the records stand beside.

    A value that is not there is None. Values are in the order of the table's columns, rows in that of the page.
    """
    models = Pool()
    tables = [_table(table, board, models, whole) for table in board.tables]
    return {"models": models.blocks, "tables": tables, "latex": {"escapes": latex.ESCAPES, "marks": latex.MARKS}}


def _table(table: Table, board: Board, models: Pool, whole: bool) -> dict[str, Any]:
    places = {column.task.name: place for place, column in enumerate(table.columns)}
    asked = board.suite.asks(table.protocol)
    groups = [
        {"name": group, "columns": [places[task] for task in asked[group] if task in places], "of": len(asked[group])}
        for group in table.groups
    ]
    digits = _as_it_is if whole else _six_digits
    return {
        "protocol": table.protocol,
        "columns": [_column(column) for column in table.columns],
        "groups": groups,
        "means": text.means_of(table.groups),
        "over": board.suite.aggregator.over,
        "unit": table.means.unit,
        "higher": table.means.higher_is_better,
        "chance": table.chance.value,
        "absent": len(table.absent),
        "rows": [_row(row, table, models, digits, whole) for row in table.rows],
    }


def _column(column: Column) -> dict[str, Any]:
    definition = column.definition
    return {
        "name": column.task.name,
        "title": column.task.title,
        "group": column.group,
        "unit": definition.unit,
        "higher": definition.higher_is_better,
        "chance": definition.chance,
        "best": best_of(definition),
    }


def best_of(definition: MetricDefinition) -> float | None:
    """Return the value that stands at 1 when chance stands at 0: the ceiling, for a share the end of its range."""
    if definition.ceiling is not None or definition.unit != "fraction":
        return definition.ceiling
    return definition.high if definition.higher_is_better else definition.low


def _row(row: Row, table: Table, models: Pool, digits: Callable[[float], float], whole: bool) -> dict[str, Any]:
    def several(of: Callable[[Cell], float | None]) -> list[float | None]:
        found = (of(cell) if cell else None for cell in row.cells)
        return [None if value is None else digits(value) for value in found]

    known = traits.of(row)
    body: dict[str, Any] = {
        "model": models.place(_model(row, known)),
        "variant": row.variant,
        "control": row.control,
        "level": known.level,
        "pooling": known.pooling,
        "mean": row.mean.value,
        "groups": [row.groups[group].value for group in text.means_of(table.groups)],
        "values": several(lambda cell: cell.value),
        "low": several(lambda cell: cell.low),
        "high": several(lambda cell: cell.high),
        "best": [place for place, cell in enumerate(row.cells) if cell and cell.best],
    }
    if not whole:
        body["ids"] = "".join(cell.records[0].record_id[:ID] if cell else " " * ID for cell in row.cells)
    seen = {table.columns[i].task.name: cell.contaminated for i, cell in enumerate(row.cells) if cell}
    optional = {
        "clean": row.clean.value if row.clean else None,
        "standing": dataclasses.asdict(row.standing) if row.standing != UNCHECKED else None,
        "seen": {task: said for task, said in seen.items() if said},
    }
    return body | {key: value for key, value in optional.items() if value not in (None, {})}


def _model(row: Row, known: traits.Traits) -> dict[str, Any]:
    model = row.model
    body = {
        "name": model.name,
        "title": model.title,
        "parameters": model.parameters,
        "adapter": model.adapter,
        "source": model.source,
        "about": dict(model.about),
        "data": known.data,
        "licence": known.licence,
        "division": known.division,
    }
    return body | ({"entry": dataclasses.asdict(row.entry)} if row.entry else {})


def _as_it_is(value: float) -> float:
    return value


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")

"""A board as data for other programs: JSON with all that the page tells, and Parquet with a row per number."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from ssl_bench.files import canonical_json
from ssl_bench.leaderboard import page_data, text, traits
from ssl_bench.leaderboard.ranking import Board, Cell, Column, Mean, Row, Table
from ssl_bench.results import exporting
from ssl_bench.results.standing import UNCHECKED
from ssl_bench.results.store import digest_of

SCHEMA = "ssl-bench.board/1"
COLUMNS = (
    ("suite", "TEXT", "name and version of the suite, empty for all tasks"),
    ("protocol", "TEXT", "protocol and its version"),
    ("model", "TEXT", "the model's name"),
    ("variant", "TEXT", "what sets the row apart from others of that name"),
    ("control", "INTEGER", "1 for a model that knows nothing"),
    ("parameters", "INTEGER", "of the network"),
    ("data", "TEXT", "what the weights have seen, as declared"),
    ("licence", "TEXT", "of the weights"),
    ("checked", "TEXT", "how far the numbers were checked"),
    ("division", "TEXT", "closed or open, empty without an entry"),
    ("pooling", "TEXT", "how a feature was made of an image"),
    ("group", "TEXT", "of the suite"),
    ("task", "TEXT", "the task's name"),
    ("metric", "TEXT", "the task's headline metric"),
    ("unit", "TEXT", "fraction, or the unit's name"),
    ("higher_is_better", "INTEGER", "1 or 0"),
    ("chance", "REAL", "what guessing gives"),
    ("ceiling", "REAL", "the best that the task allows"),
    ("value", "REAL", "mean over seeds"),
    ("low", "REAL", "lower bound of the 95 % interval over test samples, mean over seeds"),
    ("high", "REAL", "upper bound"),
    ("spread", "REAL", "standard deviation over seeds"),
    ("seeds", "INTEGER", "number of records"),
    ("best", "INTEGER", "1 for the column's best and what cannot be told from it"),
    ("contaminated", "TEXT", "what the weights have seen of the task's images, as declared"),
    ("question", "TEXT", "digest of what was asked"),
    ("records", "TEXT", "ids of the records, by seed"),
)
"""Name, kind and meaning of the columns of `parquet_bytes`."""


def json_text(board: Board) -> str:
    """Return the board as canonical JSON: fractions as they are, null where there is no number."""
    suite = board.suite
    body = {
        "schema": SCHEMA,
        "suite": {"name": suite.name, "version": suite.version, "title": suite.title, "aggregate": suite.aggregate},
        "digest": digest_of(board.records),
        "tables": [_table(table) for table in board.tables],
        "skipped": [list(pair) for pair in board.skipped],
    }
    return canonical_json(body) + "\n"


def _table(table: Table) -> dict[str, Any]:
    return {
        "protocol": table.protocol,
        "version": table.version,
        "recipe": dict(table.recipe),
        "columns": [_column(column) for column in table.columns],
        "absent": list(table.absent),
        "unit_of_means": table.means.unit,
        "rows": [_row(row, table) for row in table.rows],
    }


def _column(column: Column) -> dict[str, Any]:
    definition, task = column.definition, column.task
    return {
        "task": task.name,
        "title": task.title,
        "group": column.group,
        "metric": task.metric,
        "unit": definition.unit,
        "higher_is_better": definition.higher_is_better,
        "chance": definition.chance,
        "ceiling": page_data.best_of(definition),
        "samples": dict(task.samples),
        "question": column.question,
    }


def _row(row: Row, table: Table) -> dict[str, Any]:
    known = dataclasses.asdict(traits.of(row))
    cells = {column.task.name: _cell(cell) for cell, column in zip(row.cells, table.columns, strict=True) if cell}
    groups = {group: _mean(row.groups[group]) for group in text.means_of(table.groups)}
    return known | {
        "model": row.model.name,
        "title": row.model.title,
        "variant": row.variant,
        "control": row.control,
        "parameters": row.model.parameters,
        "mean": _mean(row.mean),
        "clean_mean": _mean(row.clean) if row.clean else None,
        "groups": groups,
        "standing": dataclasses.asdict(row.standing) if row.standing != UNCHECKED else None,
        "entry": dataclasses.asdict(row.entry) if row.entry else None,
        "values": cells,
    }


def _mean(mean: Mean) -> dict[str, Any]:
    return {"value": mean.value, "tasks": mean.present, "of": mean.total}


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "value": cell.value,
        "low": cell.low,
        "high": cell.high,
        "spread": cell.spread,
        "best": cell.best,
        "contaminated": cell.contaminated,
        "published": dataclasses.asdict(cell.published) if cell.published else None,
        "drift": list(cell.drift),
        "records": [record.record_id for record in cell.records],
    }


def parquet_bytes(board: Board) -> bytes:
    """Return the board as Parquet, a row per model, task and protocol; raise MissingError without pyarrow."""
    return exporting.parquet_bytes(COLUMNS, list(rows(board)))


def rows(board: Board) -> Iterator[tuple[Any, ...]]:
    """Give every number of the board with what it is, in the order of `COLUMNS`."""
    suite = f"{board.suite.name}@{board.suite.version}" if board.suite.name else ""
    for table in board.tables:
        for row in table.rows:
            known = traits.of(row)
            model = (row.model.name, row.variant, int(row.control), row.model.parameters, ", ".join(known.data))
            said = (known.licence, known.level, row.entry.division if row.entry else "", known.pooling)
            for cell, column in zip(row.cells, table.columns, strict=True):
                if cell:
                    named = (suite, f"{table.protocol}@{table.version}", *model, *said)
                    yield (*named, *_about(column), *_numbers(cell), column.question, _ids(cell))


def _about(column: Column) -> tuple[Any, ...]:
    of = column.definition
    asked = (column.group, column.task.name, column.task.metric)
    return (*asked, of.unit, int(of.higher_is_better), of.chance, page_data.best_of(of))


def _numbers(cell: Cell) -> tuple[Any, ...]:
    bounds = (cell.low, cell.high, cell.spread)
    return (cell.value, *bounds, len(cell.records), int(cell.best), cell.contaminated)


def _ids(cell: Cell) -> str:
    return " ".join(record.record_id for record in cell.records)

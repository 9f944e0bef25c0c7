"""A board as one self-contained page: no network, nothing that runs but its own script, the same bytes every time."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssl_bench.errors import UsageError
from ssl_bench.files import canonical_json
from ssl_bench.leaderboard import addresses, text
from ssl_bench.leaderboard.plots import Dot, dot_plot
from ssl_bench.leaderboard.ranking import Board, Cell, Column, Mean, Row, Table
from ssl_bench.pages import csp_hash, render, template, trusted
from ssl_bench.results.describe import command, number
from ssl_bench.results.record import MetricDefinition, Record
from ssl_bench.results.store import digest_of

MOST_WHOLE = 5000
"""Records that a page holds in full, some kilobytes each; a page of more tells their ids instead."""
POOLED_KEYS = ("model", "features", "task", "environment", "code")
"""Blocks that many records share, written into the page once."""


def html(board: Board, *, pages: bool = False) -> str:
    """Return the board as a page; raise MissingError where jinja2 or a template file is not there.

    `pages` says that the pages of its models and tasks lie beside it, so that it may link to them.
    """
    style, script = template("board.css"), template("board.js")
    return render(
        template("board.html"),
        **_context(board),
        pages=_pages(board) if pages else {},
        style=trusted(style),
        script=trusted(script),
        style_hash=csp_hash(style),
        script_hash=csp_hash(script),
    )


def _pages(board: Board) -> dict[str, dict[str, str]]:
    """Return the addresses of the pages of models and tasks, by name."""
    columns = (column for table in board.tables for column in table.columns)
    return {
        "models": {row.model.name: addresses.of_model(row.model.name) for table in board.tables for row in table.rows},
        "tasks": {column.task.name: addresses.of_task(column.task.name) for column in columns},
    }


def json_block(value: Any) -> str:
    """Return canonical JSON that can stand inside a script element: no "<" that could end it."""
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    return canonical_json(value).translate({ord(char): escaped for char, escaped in escapes.items()})


# ---------------------------------------------------------------- what the template gets


def _context(board: Board) -> dict[str, Any]:
    records = board.records
    places = {record.record_id: place for place, record in enumerate(records)}
    models = {record.model.name for record in records}
    whole = records if len(records) <= MOST_WHOLE else []
    return {
        "suite": board.suite,
        "title": board.suite.title or "Results",
        "models": len(models),
        "tasks": len({record.task.name for record in records}),
        "records": len(records),
        "whole": bool(whole),
        "tables": [_table(table, places) for table in board.tables],
        "listed": [_listed(record, places[record.record_id]) for record in whole],
        "skipped": board.skipped,
        "data": trusted(json_block(page_data(whole))),
        "digest": digest_of(records)[:16],
        "built": _built(),
        "aggregator": board.suite.aggregator,
    }


def _built() -> str:
    """Return the day of SOURCE_DATE_EPOCH, or "" so that equal records give equal bytes."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch:
        return ""
    try:
        return datetime.datetime.fromtimestamp(int(epoch), datetime.UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH is {epoch!r}, which is not a number of seconds") from None


def page_data(records: Sequence[Record]) -> dict[str, Any]:
    """Return the records for the page's drawer: `pool` holds each shared block once, records name it by position."""
    pool: dict[str, int] = {}
    blocks: list[Any] = []

    def pooled(block: Any) -> int:
        key = canonical_json(block)
        if key not in pool:
            pool[key] = len(blocks)
            blocks.append(block)
        return pool[key]

    rows = []
    for record in records:
        body = record.to_json() | {"command": command(record)}
        body |= {key: pooled(body[key]) for key in POOLED_KEYS}
        rows.append(body | {"protocol": body["protocol"] | {"recipe": pooled(body["protocol"]["recipe"])}})
    return {"pool": blocks, "records": rows}


def _table(table: Table, places: Mapping[str, int]) -> dict[str, Any]:
    groups = text.means_of(table.groups)
    return {
        "protocol": table.protocol,
        "version": table.version,
        "recipe": [(key, canonical_json(value)) for key, value in sorted(table.recipe.items())],
        "columns": [_column(column) for column in table.columns],
        "spans": list(_spans(table.columns)),
        "groups": groups,
        "rows": [_row(row, table, groups, places) for row in table.rows],
        "chance": {
            "mean": _mean(table.chance, table.means),
            "cells": [_chance(column) for column in table.columns],
        },
        "absent": table.absent,
        "plots": [trusted(_plot(table, index)) for index in range(len(table.columns))],
        "descending": table.means.higher_is_better,
    }


def _column(column: Column) -> dict[str, Any]:
    task = column.task
    better = "higher is better" if column.definition.higher_is_better else "lower is better"
    return {
        "name": task.name,
        "title": task.title,
        "unit": "" if column.definition.unit == "fraction" else column.definition.unit,
        "hint": f"{task.title}: {task.metric}, {task.samples['test']} test images, {task.classes} classes, {better}; "
        f"question {column.question[:8]}",
        "group": column.group,
        "metric": task.metric,
        "question": column.question[:8],
    }


def _spans(columns: Sequence[Column]) -> Iterator[tuple[str, int]]:
    """Give (group, columns) for the heading above the tasks."""
    start = 0
    for i, column in enumerate(columns):
        if i + 1 == len(columns) or columns[i + 1].group != column.group:
            yield column.group, i + 1 - start
            start = i + 1


def _row(row: Row, table: Table, groups: Sequence[str], places: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": row.model.name,
        "title": row.model.title,
        "variant": row.variant,
        "control": row.control,
        "about": f"{row.model.parameters / 1e6:.0f}\u00a0M" if row.model.parameters >= 500_000 else "",
        "search": " ".join(
            [row.model.name, row.model.title, row.variant, row.model.adapter, *map(str, row.model.about.values())]
        ).lower(),
        "mean": _mean(row.mean, table.means),
        "groups": [_mean(row.groups[group], table.means) for group in groups],
        "cells": [_cell(cell, column, places) for cell, column in zip(row.cells, table.columns, strict=True)],
    }


def _mean(mean: Mean, definition: MetricDefinition) -> dict[str, Any]:
    whole = mean.value is not None or mean.present == mean.total
    return {
        "sort": "" if mean.value is None else repr(mean.value),
        "text": "—" if mean.value is None else number(mean.value, definition),
        "cover": "" if whole else f"{mean.present}/{mean.total}",
    }


def _cell(cell: Cell | None, column: Column, places: Mapping[str, int]) -> dict[str, Any] | None:
    if cell is None:
        return None
    definition, seeds = column.definition, len(cell.records)
    interval = ""
    if cell.low is not None and cell.high is not None:
        interval = f"{number(cell.low, definition)}–{number(cell.high, definition)}"
    return {
        "sort": repr(cell.value),
        "text": number(cell.value, definition),
        "interval": interval,
        "seeds": seeds if seeds > 1 else 0,
        "spread": number(cell.spread, definition) if cell.spread is not None else "",
        "best": cell.best,
        "drift": ", ".join(number(value, definition) for value in cell.drift),
        "edge": any(record.protocol.at_grid_edge for record in cell.records),
        "published": number(cell.published.value, definition) if cell.published else "",
        "source": cell.published.source if cell.published else "",
        "ids": " ".join(record.record_id[:12] for record in cell.records),
        "place": places[cell.records[0].record_id],
        "places": " ".join(str(places[record.record_id]) for record in cell.records),
    }


def _chance(column: Column) -> str:
    chance = column.definition.chance
    return "—" if chance is None else number(chance, column.definition)


def _listed(record: Record, place: int) -> dict[str, Any]:
    definition, headline = record.definition(record.task.metric), record.headline
    interval = headline.interval
    bounds = f"{number(interval.low, definition)}–{number(interval.high, definition)}" if interval else ""
    return {
        "place": place,
        "model": record.model.name,
        "task": record.task.name,
        "protocol": record.protocol.name,
        "seed": record.seed,
        "value": number(headline.value, definition),
        "bounds": bounds,
        "n": headline.n,
        "id": record.record_id[:12],
        "command": command(record),
    }


def _plot(table: Table, index: int) -> str:
    column = table.columns[index]
    dots = [
        Dot(text.label(row), cell.value, cell.low, cell.high, row.control, cell.best)
        for row in table.rows
        if (cell := row.cells[index])
    ]
    sign = -1 if column.definition.higher_is_better else 1
    dots.sort(key=lambda dot: (sign * dot.value, dot.label))
    return dot_plot(f"{column.task.title}, {column.task.metric}, {table.protocol}", dots, column.definition)

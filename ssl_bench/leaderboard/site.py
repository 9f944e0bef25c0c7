"""A board as one self-contained page: no network, nothing that runs but its own script, the same bytes every time."""

from __future__ import annotations

import datetime
import os
from typing import Any

from ssl_bench.errors import UsageError
from ssl_bench.files import canonical_json
from ssl_bench.leaderboard import addresses, page_data, page_rows, plots, text, traits
from ssl_bench.leaderboard.ranking import Board
from ssl_bench.pages import page, template, trusted
from ssl_bench.results.describe import command, number
from ssl_bench.results.record import Record
from ssl_bench.results.store import digest_of

MOST_WHOLE = 5000
"""Records that a page holds in full, some kilobytes each; a page of more tells their ids instead."""
SCRIPTS = ("numbers.js", "drawer.js", "tables.js", "exports.js", "board.js")
"""The parts of the page's script, in the order in which they build on each other."""
CELL = 92
"""Pixels of a task's column in a table of many cells, as `board.css` has it."""


def html(board: Board, *, pages: bool = False) -> str:
    """Return the board as a page; raise MissingError where jinja2 or a template file is not there.

    `pages` says that the pages of its models and tasks lie beside it, so that it may link to them.
    """
    context = _context(board)
    return page(
        "board.html",
        style=template("board.css") + template("plots.css") + _widths(context["tables"]),
        script="\n".join(map(template, SCRIPTS)),
        pages=_pages(board) if pages else {},
        **context,
    )


def json_block(value: Any) -> str:
    """Return canonical JSON that can stand inside a script element: no "<" that could end it."""
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    return canonical_json(value).translate({ord(char): escaped for char, escaped in escapes.items()})


def _pages(board: Board) -> dict[str, dict[str, str]]:
    """Return the addresses of the pages of models and tasks, by name."""
    columns = (column for table in board.tables for column in table.columns)
    return {
        "models": {row.model.name: addresses.of_model(row.model.name) for table in board.tables for row in table.rows},
        "tasks": {column.task.name: addresses.of_task(column.task.name) for column in columns},
    }


def _widths(tables: list[dict[str, Any]]) -> str:
    """Return the widths of group headings above columns of a fixed width; the policy allows none in the table."""
    many = [table for table in tables if table["many"]]
    found = {span for table in many for _, span in table["spans"]}
    found |= {1 + table["clean"] + len(table["groups"]) for table in many}
    return "".join(f".board.many .s{span} {{ flex: {span} 0 {span * CELL}px; }}\n" for span in sorted(found))


# ---------------------------------------------------------------- what the template gets


def _context(board: Board) -> dict[str, Any]:
    records = board.records
    whole = records if len(records) <= MOST_WHOLE else []
    places = {record.record_id: place for place, record in enumerate(whole)}
    data = page_data.of_records(whole) | page_data.of_tables(board, bool(whole))
    rows = [row for table in board.tables for row in table.rows]
    return {
        "suite": board.suite,
        "title": board.suite.title or "Results",
        "models": len({record.model.name for record in records}),
        "tasks": len({record.task.name for record in records}),
        "records": len(records),
        "whole": bool(whole),
        "tables": [page_rows.table(table, places) for table in board.tables],
        "facets": traits.facets(rows, [table.protocol for table in board.tables]),
        "groups": list(dict.fromkeys(column.group for table in board.tables for column in table.columns)),
        "figures": [page_rows.figure(figure) for figure in plots.figures(board)],
        "contaminated": any(cell.contaminated for row in rows for cell in row.cells if cell),
        "listed": [_listed(record, places[record.record_id]) for record in whole],
        "skipped": board.skipped,
        "data": trusted(json_block(data)),
        "bold": text.bold(board),
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

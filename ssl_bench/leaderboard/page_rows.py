"""What the page's template gets of a table: its headings, rows and cells as they are printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssl_bench.files import canonical_json
from ssl_bench.leaderboard import plots, text
from ssl_bench.leaderboard.ranking import Cell, Column, Mean, Row, Table
from ssl_bench.pages import trusted
from ssl_bench.results.describe import number
from ssl_bench.results.record import MetricDefinition

MANY = 4000
"""Cells of a table beyond which its columns have one fixed width, so that rows out of sight need not be laid out."""


def table(table: Table, places: Mapping[str, int]) -> dict[str, Any]:
    """Return a table for the template; `places` gives the place of each record on the page, by its id."""
    groups = text.means_of(table.groups)
    clean = any(row.clean for row in table.rows)
    return {
        "protocol": table.protocol,
        "version": table.version,
        "recipe": [(key, canonical_json(value)) for key, value in sorted(table.recipe.items())],
        "columns": [_column(column) for column in table.columns],
        "spans": list(spans(table.columns)),
        "groups": groups,
        "clean": clean,
        "rows": [_row(row, table, groups, places, clean) for row in table.rows],
        "chance": {
            "mean": _mean(table.chance, table.means),
            "cells": [text.chance(column) for column in table.columns],
        },
        "absent": table.absent,
        "figures": [figure(one) for one in plots.of_table(table)],
        "descending": table.means.higher_is_better,
        "many": len(table.rows) * len(table.columns) > MANY,
    }


def figure(one: plots.Figure) -> dict[str, Any]:
    """Return a plot for the template."""
    return {"id": one.id, "title": one.title, "note": one.note, "svg": trusted(one.svg)}


def _column(column: Column) -> dict[str, Any]:
    task = column.task
    better = "higher is better" if column.definition.higher_is_better else "lower is better"
    return {
        "name": task.name,
        "unit": "" if column.definition.unit == "fraction" else column.definition.unit,
        "hint": f"{task.title}: {task.metric}, {task.samples['test']} test images, {task.classes} classes, {better}; "
        f"question {column.question[:8]}{'; tested ' if column.tested else ''}{column.tested}",
    }


def spans(columns: Sequence[Column]) -> Iterator[tuple[str, int]]:
    """Give (group, columns) for the heading above the tasks."""
    start = 0
    for i, column in enumerate(columns):
        if i + 1 == len(columns) or columns[i + 1].group != column.group:
            yield column.group, i + 1 - start
            start = i + 1


def _row(row: Row, table: Table, groups: Sequence[str], places: Mapping[str, int], clean: bool) -> dict[str, Any]:
    means = [row.mean, *([row.clean] if clean else []), *(row.groups[group] for group in groups)]
    return {
        "name": row.model.name,
        "title": row.model.title,
        "variant": row.variant,
        "control": row.control,
        "level": row.standing.level,
        "division": row.entry.division if row.entry else "",
        "size": size(row.model.parameters),
        "means": [_mean(mean, table.means) for mean in means],
        "cells": [_cell(cell, column, places) for cell, column in zip(row.cells, table.columns, strict=True)],
    }


def size(parameters: int) -> str:
    """Return a number of parameters in millions, or "—" for a model that has none."""
    if not parameters:
        return "—"
    return (
        f"{parameters / 1e6:.{0 if parameters >= 9_950_000 else 1}f}\u00a0M" if parameters >= 50_000 else "<0.1\u00a0M"
    )


def _mean(mean: Mean | None, definition: MetricDefinition) -> dict[str, Any]:
    if mean is None:
        return {"text": "", "cover": ""}
    whole = mean.value is not None or mean.present == mean.total
    return {
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
    body = {"text": number(cell.value, definition), "interval": interval, "best": cell.best, "plain": False}
    if not places and seeds == 1 and not (cell.drift or cell.published or cell.contaminated):
        return body | {"plain": True}
    return body | {
        "seeds": seeds if seeds > 1 else 0,
        "spread": number(cell.spread, definition) if cell.spread is not None else "",
        "drift": ", ".join(number(value, definition) for value in cell.drift),
        "edge": any(record.protocol.at_grid_edge for record in cell.records),
        "seen": cell.contaminated,
        "published": number(cell.published.value, definition) if cell.published else "",
        "source": cell.published.source if cell.published else "",
        "place": places.get(cell.records[0].record_id, ""),
        "places": " ".join(str(places[record.record_id]) for record in cell.records) if places else "",
    }

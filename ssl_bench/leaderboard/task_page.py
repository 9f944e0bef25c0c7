"""A task's page: what it asks, how every model answered under every protocol, and where models err and agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from ssl_bench.leaderboard import addresses, task_answers, words
from ssl_bench.leaderboard.material import Material
from ssl_bench.leaderboard.model_page import interval
from ssl_bench.leaderboard.plots import dots
from ssl_bench.leaderboard.ranking import Column, Row, Table
from ssl_bench.leaderboard.text import label
from ssl_bench.pages import trusted
from ssl_bench.results.describe import number
from ssl_bench.results.record import MetricDefinition
from ssl_bench.tasks import TaskCard


def context(material: Material, name: str) -> dict[str, Any]:
    """Return what the template `task.html` is filled with, for a task that has a column on the board."""
    places = material.by_task[name]
    column = places[0][0].columns[places[0][1]]
    card = material.tasks.get(name)
    looked = [found for table, place in places if (found := task_answers.looked_into(material, table, place, card))]
    return {
        "task": name,
        "title": column.task.title or name,
        "note": card.note.strip() if card else "",
        "facts": words.facts(_facts([table.columns[place] for table, place in places], card)),
        "splits": _splits(column, card),
        "overview": _overview(places),
        "tables": [_table(table, place) for table, place in places],
        "looked": [task_answers.shown(one) for one in looked],
        "examples": task_answers.examples(material, looked, card),
    }


# ---------------------------------------------------------------- what it asks


def _facts(columns: Sequence[Column], card: TaskCard | None) -> Iterator[tuple[str, Any]]:
    task = columns[0].task
    yield "kind", task.kind
    yield "classes", f"{task.classes:,}" if task.classes else ""
    for name, definition in {column.task.metric: column.definition for column in columns}.items():
        yield "headline metric", ", ".join([name, *_read(definition)])
    headlines = {column.task.metric for column in columns}
    yield "further metrics", ", ".join(sorted({name for column in columns for name in column.task.metrics} - headlines))
    yield "source", task.source.get("url")
    yield "licence", task.source.get("licence")
    yield "citation", task.source.get("citation")
    yield "reader", card.reader if card else ""
    yield "version", str(task.version)
    for digest in dict.fromkeys(column.task.digest for column in columns):
        yield "task digest", digest
    yield "label map sha256", task.labels.sha256 if task.labels else ""
    yield "card", f"tasks/{card.name}.toml" if card else "none: the records tell what they knew"


def _read(definition: MetricDefinition) -> Iterator[str]:
    """Give how a metric's numbers are read."""
    yield "in percent" if definition.unit == "fraction" else f"in {definition.unit}"
    yield "higher is better" if definition.higher_is_better else "lower is better"
    if definition.chance is not None:
        yield f"chance {number(definition.chance, definition)}"
    if definition.ceiling is not None:
        yield f"at best {number(definition.ceiling, definition)}"


def _splits(column: Column, card: TaskCard | None) -> list[tuple[str, str, str, str]]:
    """Return (split, samples, what of the source it is, digest of the sample ids)."""
    task = column.task
    made = {"train": card.splits.train, "val": card.splits.val, "test": card.splits.test} if card else {}
    order = [*(role for role in ("train", "val", "test") if role in task.samples)]
    order += sorted(set(task.samples) - set(order))
    return [(role, f"{task.samples[role]:,}", made.get(role, ""), (task.ids or {}).get(role, "")) for role in order]


# ---------------------------------------------------------------- how models answered


def _table(table: Table, place: int) -> dict[str, Any]:
    column = table.columns[place]
    definition = column.definition
    return {
        "protocol": table.protocol,
        "version": table.version,
        "metric": column.task.metric,
        "unit": "%" if definition.unit == "fraction" else definition.unit,
        "question": column.question,
        "plot": trusted(_plot(table, place)),
        "chance": "—" if definition.chance is None else number(definition.chance, definition),
        "lines": [
            {
                "rank": rank,
                "name": row.model.name,
                "title": row.model.title or row.model.name,
                "variant": row.variant,
                "control": row.control,
                "page": addresses.UP + addresses.of_model(row.model.name),
                "value": number(cell.value, definition),
                "id": cell.records[0].record_id[:12],
                "interval": interval(cell, definition),
                "seeds": len(cell.records),
                "spread": number(cell.spread, definition) if cell.spread is not None else "",
                "best": cell.best,
                "published": number(cell.published.value, definition) if cell.published else "",
                "source": cell.published.source if cell.published else "",
                "contaminated": cell.contaminated,
                "drift": bool(cell.drift),
                "standing": row.standing.level,
            }
            for rank, (row, cell) in enumerate(task_answers.ordered(table, place), start=1)
        ],
    }


def _plot(table: Table, place: int) -> str:
    """Return the models' values in one column with their intervals, as SVG."""
    rows = tuple(dataclasses.replace(row, cells=(row.cells[place],)) for row in table.rows)
    (figure,) = dots.of_tasks(dataclasses.replace(table, columns=(table.columns[place],), rows=rows))
    return figure.svg


def _overview(places: Sequence[tuple[Table, int]]) -> dict[str, Any]:
    """Return every model's value under every protocol, by the first protocol's order; none where there is but one."""
    values: dict[tuple[str, str], dict[int, tuple[str, str, bool]]] = {}
    rows: dict[tuple[str, str], Row] = {}
    for i, (table, place) in enumerate(places):
        definition = table.columns[place].definition
        for row, cell in task_answers.ordered(table, place):
            key = row.model.name, row.variant
            rows.setdefault(key, row)
            values.setdefault(key, {})[i] = number(cell.value, definition), interval(cell, definition), cell.best
    return {
        "heads": [(table.protocol, table.columns[place].task.metric) for table, place in places],
        "lines": [
            {
                "label": label(row),
                "page": addresses.UP + addresses.of_model(row.model.name),
                "control": row.control,
                "values": [values[key].get(i) for i in range(len(places))],
            }
            for key, row in rows.items()
            if len(places) > 1
        ],
    }

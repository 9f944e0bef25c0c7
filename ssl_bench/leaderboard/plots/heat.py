"""Models by tasks: every value with chance at 0 and the best possible at 100, as a number on a tint.

Tints run from chance to the best in one colour, and below chance in another. A map has few enough tasks to be read on
a phone; a suite of more has one map per group.
"""

from __future__ import annotations

from collections.abc import Sequence

from ssl_bench import aggregators
from ssl_bench.leaderboard import text
from ssl_bench.leaderboard.columns import Column
from ssl_bench.leaderboard.means import answer
from ssl_bench.leaderboard.plots.figure import MOST, Figure, absent, first, slug
from ssl_bench.leaderboard.plots.matrix import LABELS, LINE, cell, gap
from ssl_bench.leaderboard.plots.matrix import name as name_of
from ssl_bench.leaderboard.plots.svg import WIDTH, safe, shortened, svg
from ssl_bench.leaderboard.ranking import Row, Table

TASKS = 8
"""Columns of one map."""
FOOT, LEAN, RISE = 8, 44, 5.2
"""Units of the view box: below the models, what the last slanting name of a task needs at the right, and the height of
one of its letters."""
NORMALISED = aggregators.get("chance_normalised_mean@1")


def figures(table: Table) -> list[Figure]:
    """Return the maps of a table's tasks."""
    known = [i for i, column in enumerate(table.columns) if column.definition.chance is not None]
    id, name = f"{slug(table.protocol)}-heat", "Models by tasks"
    if not known:
        return [absent(id, name, "no task of this table has a level of chance from which values could be measured")]
    parts = _parts([(i, table.columns[i]) for i in known])
    return [_figure(table, part, f"{id}-{place}", f"{name}{said}") for place, (said, part) in enumerate(parts)]


def _parts(columns: Sequence[tuple[int, Column]]) -> list[tuple[str, Sequence[int]]]:
    """Return (words for the title, columns) of each map."""
    if len(columns) <= TASKS:
        return [("", [i for i, _ in columns])]
    found: list[tuple[str, Sequence[int]]] = []
    for group in dict.fromkeys(column.group for _, column in columns):
        members = [i for i, column in columns if column.group == group]
        maps = -(-len(members) // TASKS)
        chunks = [members[len(members) * k // maps : len(members) * (k + 1) // maps] for k in range(maps)]
        for turn, chunk in enumerate(chunks, start=1):
            found.append((f", {group}" + (f" {turn}/{len(chunks)}" if len(chunks) > 1 else ""), chunk))
    return found


def placed(row: Row, table: Table, index: int) -> float | None:
    """Return a value with chance at 0 and the best possible at 1; None where there is no value or no chance."""
    cell = row.cells[index]
    return NORMALISED.placed(answer(cell.value, table.columns[index].definition)) if cell else None


def _figure(table: Table, columns: Sequence[int], id: str, name: str) -> Figure:
    rows, more = first([row for row in table.rows if any(row.cells[i] for i in columns)], MOST)
    wide = (WIDTH - LABELS - LEAN) / TASKS
    tasks = [shortened(table.columns[index].task.name, 16) for index in columns]
    head, parts = 16 + RISE * max(map(len, tasks)), []
    for place, task in enumerate(tasks):
        at = f"translate({LABELS + wide * (place + 0.5) + 4:.1f} {head - 6:.1f}) rotate(-55)"
        parts.append(f'<text class="tick" transform="{at}">{safe(task)}</text>')
    for line, row in enumerate(rows):
        y = head + LINE * line
        parts.append(name_of(row, y))
        for place, index in enumerate(columns):
            parts.append(_cell(row, table, index, LABELS + wide * place, y, wide))
    note = (
        f"Percent of the way from chance (0) to the best possible value (100); below chance in the other colour.{more}"
    )
    left_out = [column.task.name for column in table.columns if column.definition.chance is None]
    if left_out:
        note += f" Without a level of chance, and so not here: {', '.join(left_out)}."
    said = "The values, not yet measured from chance, stand in the table above."
    height = head + LINE * len(rows) + FOOT
    return Figure(id, name, note, svg("heat", f"{name}, {table.protocol}", said, height, parts))


def _cell(row: Row, table: Table, index: int, x: float, y: float, wide: float) -> str:
    value = placed(row, table, index)
    if value is None:
        return gap(x, y, wide)
    tip = f"{text.label(row)}, {table.columns[index].task.name}"
    return cell(x, y, wide, value, f"{100 * value:.0f}".replace("-0", "0"), tip)

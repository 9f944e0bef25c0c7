"""How often one model beats another: on which share of the tasks that both have answered, ties counting half."""

from __future__ import annotations

from collections.abc import Sequence

from ssl_bench.leaderboard import text
from ssl_bench.leaderboard.plots.figure import Figure, absent, first, slug
from ssl_bench.leaderboard.plots.matrix import LINE, cell, gap
from ssl_bench.leaderboard.plots.matrix import name as name_of
from ssl_bench.leaderboard.plots.svg import WIDTH, svg
from ssl_bench.leaderboard.plots.svg import text as words
from ssl_bench.leaderboard.ranking import Row, Table
from ssl_bench.leaderboard.views import wins

MODELS = 12
"""Of more, the first: numbers of more could not be read."""
LABELS, HEAD, FOOT = 190, 24, 8
"""Units of the view box: names with their numbers, and above and below the models."""


def figure(table: Table) -> Figure:
    """Return the matrix of the table's first models, controls among them."""
    id, name = f"{slug(table.protocol)}-wins", "How often the row beats the column"
    found = [row for row in table.rows if any(row.cells)]
    if len(found) < 2:
        return absent(id, name, "there is but one model")
    rows, more = first(found, MODELS)
    wide = (WIDTH - LABELS) / max(len(rows), 6)
    parts = []
    for i, row in enumerate(rows):
        y = HEAD + LINE * i
        parts.append(words(LABELS + wide * (i + 0.5), HEAD - 8, str(i + 1), "tick", "middle"))
        parts.append(name_of(row, y, LABELS - 28))
        parts.append(words(LABELS - 8, y + LINE / 2 + 4, str(i + 1), "tick", "end"))
        for j, other in enumerate(rows):
            parts.append(_cell(row, other, table, LABELS + wide * j, y, wide) if i != j else "")
    note = (
        f"Percent of the tasks that both have answered, of {len(table.columns)} at most; ties count half. Other models "
        f"change nothing in it.{more}"
    )
    height = HEAD + LINE * len(rows) + FOOT
    said = "; ".join(_said(row, i, rows, table) for i, row in enumerate(rows))
    return Figure(id, name, note, svg("heat", f"{name}, {table.protocol}", said, height, parts))


def _cell(row: Row, other: Row, table: Table, x: float, y: float, wide: float) -> str:
    share, tasks = wins(row, other, table)
    if not tasks:
        return gap(x, y, wide)
    tip = f"{text.label(row)} beats {text.label(other)} on {share * tasks:g} of {tasks} tasks"
    return cell(x, y, wide, 2 * share - 1, f"{100 * share:.0f}", tip)


def _said(row: Row, place: int, rows: Sequence[Row], table: Table) -> str:
    shares = [f"{100 * wins(row, other, table)[0]:.0f}" if other is not row else "–" for other in rows]
    return f"{place + 1} {text.label(row)}: {', '.join(shares)}"

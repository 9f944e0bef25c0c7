"""How often one model beats another: on which share of the tasks that both have answered, ties counting half."""

from __future__ import annotations

from ssl_bench.leaderboard import text
from ssl_bench.leaderboard.plots.figure import Figure, absent, first, slug
from ssl_bench.leaderboard.plots.heat import tint
from ssl_bench.leaderboard.plots.svg import WIDTH, box, shortened, svg, title
from ssl_bench.leaderboard.plots.svg import text as words
from ssl_bench.leaderboard.ranking import Row, Table
from ssl_bench.leaderboard.views import wins

MODELS = 12
"""Of more, the first: numbers of more could not be read."""
LABELS, NAME, LINE, HEAD, FOOT = 180, 21, 21, 24, 8


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
        label = words(LABELS - 8, y + 14.5, f"{shortened(text.label(row), NAME)}  {i + 1}", "", "end")
        parts.append(f'<g class="{"control" if row.control else "plain"}">{label}</g>')
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
        return words(x + wide / 2, y + 14.5, "–", "tick", "middle")
    kind = f"{'below' if share < 0.5 else 'above'} t{tint(2 * share - 1)}"
    tip = title(f"{text.label(row)} beats {text.label(other)} on {share * tasks:g} of {tasks} tasks")
    number = words(x + wide / 2, y + 14.5, f"{100 * share:.0f}", "value", "middle")
    return f"<g>{box(kind, x + 0.5, y + 0.5, wide - 1, LINE - 1)}{number}{tip}</g>"


def _said(row: Row, place: int, rows: object, table: Table) -> str:
    assert isinstance(rows, (list, tuple))
    shares = [f"{100 * wins(row, other, table)[0]:.0f}" if other is not row else "–" for other in rows]
    return f"{place + 1} {text.label(row)}: {', '.join(shares)}"

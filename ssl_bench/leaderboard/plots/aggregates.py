"""The other ways of making one number of a table's tasks, beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from ssl_bench.leaderboard import text
from ssl_bench.leaderboard.plots.figure import Figure, absent, first, slug
from ssl_bench.leaderboard.plots.matrix import LABELS, LINE, cell, gap
from ssl_bench.leaderboard.plots.matrix import name as name_of
from ssl_bench.leaderboard.plots.svg import WIDTH, svg
from ssl_bench.leaderboard.plots.svg import text as words
from ssl_bench.leaderboard.ranking import Row, Table
from ssl_bench.leaderboard.views import View, views

HEAD, FOOT = 58, 8


def figure(table: Table) -> Figure:
    """Return a table of the models by every named view, tinted by rank."""
    id, name = f"{slug(table.protocol)}-views", "The same tasks, averaged otherwise"
    found = [view for view in views(table) if any(value is not None for value in view.values)]
    complete = [i for i in range(len(table.rows)) if any(view.values[i] is not None for view in found)]
    if len(complete) < 2 or not found:
        return absent(id, name, "fewer than two models have answered every task")
    shown, more = first(complete)
    wide = (WIDTH - LABELS) / len(found)
    parts = []
    for place, view in enumerate(found):
        x = LABELS + wide * (place + 0.5)
        lines = view.reference.replace("@", "_@").split("_")
        parts += [words(x, HEAD - 8 - 12 * up, word, "tick", "middle") for up, word in enumerate(reversed(lines))]
    for line, i in enumerate(shown):
        y, row = HEAD + LINE * line, table.rows[i]
        parts.append(name_of(row, y))
        for place, view in enumerate(found):
            parts.append(_cell(view, i, LABELS + wide * place, y, wide))
    note = " ".join(_note(view) for view in found) + more
    said = "; ".join(_said(table.rows[i], i, found) for i in shown)
    height = HEAD + LINE * len(shown) + FOOT
    return Figure(id, name, note, svg("heat", f"{name}, {table.protocol}", said, height, parts))


def _cell(view: View, i: int, x: float, y: float, wide: float) -> str:
    value = view.values[i]
    if value is None:
        return gap(x, y, wide)
    known = [other for other in view.values if other is not None]
    worse = sum((other < value) == view.higher_is_better and other != value for other in known)
    return cell(x, y, wide, worse / max(1, len(known) - 1), view.say(value))


def _note(view: View) -> str:
    return f"{view.reference}: {view.what}{' (depends on the models shown)' if view.relative else ''}."


def _said(row: Row, i: int, found: Sequence[View]) -> str:
    values = (f"{view.reference} {view.say(value)}" for view in found if (value := view.values[i]) is not None)
    return f"{text.label(row)}: {', '.join(values)}"

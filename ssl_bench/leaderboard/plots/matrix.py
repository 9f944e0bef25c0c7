"""Numbers on tints, a line per model: what maps of values, of wins and of means have in common."""

from __future__ import annotations

from ssl_bench.leaderboard import text
from ssl_bench.leaderboard.plots.svg import box, label, title
from ssl_bench.leaderboard.plots.svg import text as words
from ssl_bench.leaderboard.ranking import Row

LABELS, NAME, LINE = 170, 21, 19
"""Units of the view box for the names, letters of a name, and units of a line."""
TINTS = 10


def name(row: Row, y: float, end: float = LABELS - 8, letters: int = NAME) -> str:
    """Return a model's name in the line that begins at `y`."""
    return label(end, y + LINE / 2 + 4, text.label(row), letters, "control" if row.control else "plain")


def cell(x: float, y: float, wide: float, share: float, said: str, tip: str = "") -> str:
    """Return a number on the tint of `share`, -1 to 1: one colour above 0 and another below."""
    kind = f"{'below' if share < 0 else 'above'} t{tint(share)}"
    number = words(x + wide / 2, y + LINE / 2 + 4, said, "value", "middle")
    shown = box(kind, x + 0.5, y + 0.5, wide - 1, LINE - 1) + number
    return f"<g>{shown}{title(tip)}</g>" if tip else shown


def gap(x: float, y: float, wide: float) -> str:
    """Return the dash of a number that is not there."""
    return words(x + wide / 2, y + LINE / 2 + 4, "–", "tick", "middle")


def tint(share: float) -> int:
    """Return the tint, 0 to `TINTS`, of a number between -1 and 1."""
    return min(TINTS, round(TINTS * abs(share)))

"""Mean ranks over the tasks, and which of them Nemenyi's critical difference does not tell apart (Demšar 2006)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssl_bench.leaderboard import text
from ssl_bench.leaderboard.plots.dots import BOTTOM, LINE, TOP, Dot, strip
from ssl_bench.leaderboard.plots.figure import MOST, Figure, absent, slug
from ssl_bench.leaderboard.plots.ranks import scale
from ssl_bench.leaderboard.plots.svg import WIDTH, Axis, line, svg
from ssl_bench.leaderboard.plots.svg import text as words
from ssl_bench.leaderboard.ranking import Table
from ssl_bench.leaderboard.views import pool, scores
from ssl_bench.statistics import CriticalDifference, nemenyi

LEAST = 3
"""Models, and tasks: Friedman's test of fewer says nothing."""
HEAD = 26
"""Units above the models, for the bar of the critical difference."""
LANE = 7
"""Units between the bars of groups, at most."""
LANES = 70
"""Units for all of them."""


def figure(table: Table) -> Figure:
    """Return the strip of the table's models that have answered every task, controls aside."""
    id, title = f"{slug(table.protocol)}-critical", "Mean ranks, and what they do not tell apart"
    complete = pool(table)
    rows = complete[:MOST]
    if len(rows) < LEAST or len(table.columns) < LEAST:
        why = f"it takes {LEAST} models, controls aside, that have answered every one of at least {LEAST} tasks"
        return absent(id, title, why)
    found = nemenyi(np.array(scores(rows, table)))
    order = sorted(range(len(rows)), key=lambda i: (found.mean_ranks[i], i))
    names = [text.label(rows[i]) for i in order]
    ranks = [found.mean_ranks[i] for i in order]
    note = (
        f"Over {len(table.columns)} tasks (Friedman p {_p(found.p)}). Models on one bar are not told apart: their mean "
        f"ranks differ by less than Nemenyi’s critical difference, {found.difference:.2f} at the 5 % level. Mean ranks "
        "depend on the models shown; controls have none."
    )
    if len(complete) > len(rows):
        note += f" The first {MOST} of {len(complete)} models are ranked among each other."
    said = "; ".join(f"{name} {rank:.2f}" for name, rank in zip(names, ranks, strict=True))
    said += ". Not told apart: " + (
        "; ".join(_said(found, rows_of, names, order) for rows_of in found.cliques) or "none"
    )
    height = HEAD + TOP + LINE * len(rows) + BOTTOM
    return Figure(
        id, title, note, svg("critical", f"{title}, {table.protocol}", said, height, _parts(found, order, names))
    )


def _parts(found: CriticalDifference, order: Sequence[int], names: Sequence[str]) -> list[str]:
    spans = [tuple(sorted(order.index(i) for i in clique)) for clique in found.cliques]
    lanes = _lanes([(span[0], span[-1]) for span in spans])
    wide = min(LANE, LANES / max([1, *(lane + 1 for lane in lanes)]))
    end = WIDTH - wide * (max(lanes, default=0) + 1) - 6
    axis = scale(len(order), end)
    dots = [Dot(name, found.mean_ranks[i], None, None, False) for name, i in zip(names, order, strict=True)]
    parts = [*_bar(found.difference or 0.0, axis), f'<g transform="translate(0 {HEAD})">', *strip(dots, axis)]
    for span, lane in zip(spans, lanes, strict=True):
        x = end + wide * (lane + 0.5) + 4
        parts.append(line("clique", x, TOP + LINE * span[0] + 3, x, TOP + LINE * (span[-1] + 1) - 3))
    return [*parts, "</g>"]


def _bar(difference: float, axis: Axis) -> list[str]:
    """Return the critical difference as a length on the axis."""
    begin, end = axis.at(1), axis.at(min(1 + difference, axis.stop))
    return [
        line("difference", begin, 20, end, 20),
        line("difference", begin, 17, begin, 23),
        *([line("difference", end, 17, end, 23)] if 1 + difference <= axis.stop else []),
        words(begin, 12, f"critical difference {difference:.2f}", "tick"),
    ]


def _lanes(spans: Sequence[tuple[int, int]]) -> list[int]:
    """Return for each bar a lane in which no other bar is beside it."""
    ends: list[int] = []
    lanes = []
    for start, stop in spans:
        lane = next((i for i, end in enumerate(ends) if end < start), len(ends))
        ends[lane : lane + 1] = [stop]
        lanes.append(lane)
    return lanes


def _said(found: CriticalDifference, clique: Sequence[int], names: Sequence[str], order: Sequence[int]) -> str:
    return ", ".join(names[order.index(i)] for i in clique)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"

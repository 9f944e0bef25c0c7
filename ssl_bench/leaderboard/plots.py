"""Plots of a board, as SVG text. Colours come from the page's style sheet, so that they follow its scheme."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from html import escape

from ssl_bench.leaderboard.ranking import Board, Table
from ssl_bench.leaderboard.text import label
from ssl_bench.results.record import MetricDefinition

WIDTH, LABELS, RIGHT, LINE, TOP, BOTTOM = 460, 186, 20, 19, 8, 26
"""Pixels: the whole width, the space for names, the right margin, one model, and above and below the models."""
NAME = 25
"""Letters of a model's name that fit."""
MOST = 50
"""Models that a plot shows; of more, the best."""


@dataclasses.dataclass(frozen=True)
class Figure:
    """One plot."""

    id: str
    title: str
    note: str
    svg: str
    """An svg element whose foreign names are escaped, or empty: `note` then says why."""


def figures(board: Board) -> list[Figure]:
    """Return the plots of the board as a whole."""
    return []


def of_table(table: Table) -> list[Figure]:
    """Return the plots of one table: every task's values with their intervals."""
    found = []
    for index, column in enumerate(table.columns):
        dots = [
            Dot(label(row), cell.value, cell.low, cell.high, row.control, cell.best)
            for row in table.rows
            if (cell := row.cells[index])
        ]
        sign = -1 if column.definition.higher_is_better else 1
        dots.sort(key=lambda dot: (sign * dot.value, dot.label))
        title = f"{column.task.title}, {column.task.metric}, {table.protocol}"
        svg = dot_plot(title, dots[:MOST], column.definition)
        found.append(Figure(f"{table.protocol}-{index}", column.task.title, column.task.metric, svg))
    return found


@dataclasses.dataclass(frozen=True)
class Dot:
    """One model's value."""

    label: str
    value: float
    low: float | None
    high: float | None
    control: bool
    best: bool


def dot_plot(title: str, dots: Sequence[Dot], definition: MetricDefinition) -> str:
    """Return one task's plot: a line per model with its value and interval, and chance as a dashed line."""
    percent = definition.unit == "fraction"
    ends = [bound for dot in dots for bound in (dot.low, dot.high, dot.value) if bound is not None]
    if definition.chance is not None:
        ends.append(definition.chance)
    start, stop, step = _ticks(min(ends), max(ends))
    height = TOP + LINE * len(dots) + BOTTOM
    parts = [f'<svg class="dots" viewBox="0 0 {WIDTH} {height}" role="img"><title>{escape(title)}</title>']

    def x(value: float) -> str:
        return f"{LABELS + (WIDTH - LABELS - RIGHT) * (value - start) / (stop - start):.1f}"

    foot = height - BOTTOM + 4
    for i in range(round((stop - start) / step) + 1):
        tick = start + i * step
        label = f"{100 * tick:.4g}" if percent else f"{tick:.4g}"
        parts.append(f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="{TOP}" y2="{foot}"/>')
        parts.append(f'<text class="tick" x="{x(tick)}" y="{height - 6}" text-anchor="middle">{label}</text>')
    if definition.chance is not None:
        at = x(definition.chance)
        parts.append(f'<line class="chance" x1="{at}" x2="{at}" y1="{TOP}" y2="{foot}"><title>chance</title></line>')
    for i, dot in enumerate(dots):
        parts.append(_line(dot, TOP + LINE * i + LINE / 2, x))
    return "".join([*parts, "</svg>"])


def _line(dot: Dot, y: float, x: Callable[[float], str]) -> str:
    kind = "control" if dot.control else "best" if dot.best else "plain"
    name = dot.label if len(dot.label) <= NAME else f"{dot.label[: NAME - 1]}…"
    parts = [f'<g class="{kind}"><text x="{LABELS - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>']
    if dot.low is not None and dot.high is not None:
        parts.append(f'<line class="range" x1="{x(dot.low)}" x2="{x(dot.high)}" y1="{y:.1f}" y2="{y:.1f}"/>')
    return "".join([*parts, f'<circle cx="{x(dot.value)}" cy="{y:.1f}" r="3.5"/></g>'])


def _ticks(low: float, high: float) -> tuple[float, float, float]:
    """Return (first tick, last tick, step) of an axis with round numbers around low..high."""
    span = max(high - low, 0.02)
    power = 0.001
    steps = [power * factor * 10**exponent for exponent in range(12) for factor in (1, 2, 5)]
    step = next((step for step in steps if span / step <= 5), span)
    first = int(low // step)
    last = -int(-high // step)
    return first * step, max(last, first + 1) * step, step

"""The course of a training run as small plots for a terminal, in dots of Braille cells or in plain letters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDTH, HEIGHT = 56, 6
"""Characters of a plot."""
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a Braille cell's dots, by row and column."""
BLANK = 0x2800


def run_of(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of a curve that are steps of one run; the others are candidates."""
    return [row for row in rows if "step" in row]


def plots(rows: Sequence[Mapping[str, Any]], *, plain: bool = False) -> Iterator[str]:
    """Give the lines of a plot for everything that was measured twice or more in a run, over its steps.

    `plain` uses no letter beyond ASCII.
    """
    names = {name for row in rows for name in row} - {"step", "epoch"}
    for name in sorted(names, key=lambda name: (name == "rate", name)):
        points = [(float(row["step"]), float(row[name])) for row in rows if name in row]
        if len(points) > 1:
            yield from _plot(name, points, plain)
    if rows:
        last = rows[-1]
        passed = f", {last['epoch']:.4g} epochs" if "epoch" in last else ""
        yield f"  {last['step']} steps{passed}"


def _plot(name: str, points: Sequence[tuple[float, float]], plain: bool) -> Iterator[str]:
    """Give a plot under its name, first and last value; highest and lowest stand at its side."""
    across, down = (1, 1) if plain else (2, 4)
    low, high = min(y for _, y in points), max(y for _, y in points)
    yield f"  {name}: {points[0][1]:.4g} at first, {points[-1][1]:.4g} at last"
    dots = _dots(points, WIDTH * across, HEIGHT * down)
    for row in range(HEIGHT):
        label = {0: f"{high:.4g}", HEIGHT - 1: f"{low:.4g}"}.get(row, "")
        cells = (_cell(dots, column * across, row * down, plain) for column in range(WIDTH))
        yield f"  {label:>9} {'|' if plain else '│'}{''.join(cells)}".rstrip()


def _dots(points: Sequence[tuple[float, float]], width: int, height: int) -> set[tuple[int, int]]:
    """Return the dots (column, row from above) of a line through points, which fills `width` by `height` dots."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    spans = max(xs) - min(xs) or 1.0, max(ys) - min(ys) or 1.0
    scaled = [((x - min(xs)) / spans[0] * (width - 1), (max(ys) - y) / spans[1] * (height - 1)) for x, y in points]
    found = set()
    for (x0, y0), (x1, y1) in itertools.pairwise(scaled):
        count = max(1, round(max(abs(x1 - x0), abs(y1 - y0))))
        found |= {(round(x0 + (x1 - x0) * i / count), round(y0 + (y1 - y0) * i / count)) for i in range(count + 1)}
    return found


def _cell(dots: set[tuple[int, int]], column: int, row: int, plain: bool) -> str:
    if plain:
        return "*" if (column, row) in dots else " "
    bits = sum(bit for y, pair in enumerate(DOTS) for x, bit in enumerate(pair) if (column + x, row + y) in dots)
    return chr(BLANK + bits) if bits else " "

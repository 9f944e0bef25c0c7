"""A point per model on two axes, with names where there is room for them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from ssl_bench.leaderboard.plots.svg import LETTER, WIDTH, Axis, dot, line, shortened, text, title

LEFT, RIGHT, TOP, HEIGHT, BOTTOM = 44, 18, 12, 300, 44
"""Units of the view box: margins, and the whole height."""
NAMED = 12
"""Points that all bear their names; of more, only those that are picked."""
NAME = 22
BOLD, SMALL = 1.1 * LETTER, 0.9 * LETTER
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclasses.dataclass(frozen=True)
class Point:
    """One model."""

    label: str
    x: float
    y: float
    control: bool
    picked: bool = False
    tip: str = ""


def across() -> tuple[float, float]:
    """Return where an axis from left to right begins and ends."""
    return LEFT, WIDTH - RIGHT


def upward() -> tuple[float, float]:
    """Return where an axis from below to above begins and ends."""
    return HEIGHT - BOTTOM, TOP


def scatter(
    points: Sequence[Point], x: Axis, y: Axis, below: str, beside: str, corners: Sequence[tuple[float, float]] = ()
) -> list[str]:
    """Return the elements of the points, the axes and their names; no name crosses the line through `corners`."""
    parts = []
    for value, label in x.ticks:
        parts.append(line("grid", x.at(value), TOP, x.at(value), HEIGHT - BOTTOM + 4))
        parts.append(text(x.at(value), HEIGHT - BOTTOM + 17, label, "tick", "middle"))
    for value, label in y.ticks:
        parts.append(line("grid", LEFT - 4, y.at(value), WIDTH - RIGHT, y.at(value)))
        parts.append(text(LEFT - 8, y.at(value) + 4, label, "tick", "end"))
    parts.append(text(WIDTH - RIGHT, HEIGHT - 8, below, "axis", "end"))
    parts.append(text(LEFT + 4, TOP + 10, beside, "axis"))
    places = [(x.at(point.x), y.at(point.y)) for point in points]
    for point, (px, py) in zip(points, places, strict=True):
        kind = "control" if point.control else "best" if point.picked else "plain"
        parts.append(f'<g class="{kind}">{dot(px, py)}{title(point.tip or point.label)}</g>')
    taken: list[Box] = [(px - 5, py - 5, px + 5, py + 5) for px, py in places]
    taken.append((LEFT, TOP, LEFT + 8 + LETTER * len(beside), TOP + 14))
    for (ax, ay), (bx, by) in itertools.pairwise(corners):
        taken.append((min(ax, bx), min(ay, by) - 1, max(ax, bx), max(ay, by) + 1))
    return parts + _names(points, places, taken)


def _names(points: Sequence[Point], places: Sequence[tuple[float, float]], taken: list[Box]) -> list[str]:
    """Return the names that fit, those of picked points first."""
    parts = []
    for i in sorted(range(len(points)), key=lambda i: (not points[i].picked, points[i].control, i)):
        point, (px, py) = points[i], places[i]
        if len(points) > NAMED and not point.picked:
            continue
        name = shortened(point.label, NAME)
        long = (BOLD if point.picked else SMALL if point.control else LETTER) * len(name)
        beside_it, over_it = [(px + 7, py + 4, ""), (px - 7, py + 4, "end")], [(px, py - 8, "middle")]
        # A front runs through its points from side to side.
        sides = over_it + beside_it if point.picked else beside_it + over_it
        corners = [(px + s * 5, py + up, "" if s > 0 else "end") for up in (-7, 14) for s in (1, -1)]
        for tx, ty, anchor in [*sides, (px, py + 16, "middle"), *corners]:
            left = tx - {"": 0.0, "end": long, "middle": long / 2}[anchor]
            found = (left, ty - 9, left + long, ty + 2)
            inside = left >= LEFT and left + long <= WIDTH and ty - 9 >= 0 and ty + 2 <= HEIGHT - BOTTOM
            if inside and not any(_meet(found, other) for j, other in enumerate(taken) if j != i):
                taken.append(found)
                kind = "control" if point.control else "best" if point.picked else "plain"
                parts.append(f'<g class="{kind}">{text(tx, ty, name, "name", anchor)}</g>')
                break
    return parts


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

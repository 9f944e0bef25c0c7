"""Validation curves as SVG text: what a protocol tried, how it fared, and what it chose, a line per seed.

Colours come from the page's style sheet. A curve's rows are a record's, and so whatever its writer put there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ssl_bench.leaderboard.words import plain_number
from ssl_bench.results.describe import number
from ssl_bench.results.record import MetricDefinition, ProtocolBlock, Record

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 400, 190, 52, 14, 12, 40
"""Pixels: of the whole, and of its margins."""
RATIO = 50.0
"""Of the largest to the smallest value tried, from which on the axis is logarithmic."""
LARGEST = 1e100
"""Numbers beyond it are not drawn: differences of them might not be numbers."""
SCORES = ("top", "acc", "val", "score", "map")
"""Parts of the names under which rows keep what the choice was made by."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """One record's candidates."""

    across: str
    """Name of what was tried."""
    up: str
    """Name of what it was judged by."""
    points: tuple[tuple[float, float], ...]
    """(tried, found), by what was tried; of several with one value, the highest found."""
    picked: float | None


def curve_of(protocol: ProtocolBlock) -> Curve | None:
    """Return the curve of a protocol's choice, or None where fewer than two numbers were tried."""
    rows = [{key: value for key, raw in row.items() if (value := _finite(raw)) is not None} for row in protocol.curve]
    keys = [key for key in (rows[0] if rows else ()) if all(key in row for row in rows)]
    across = next((key for key in keys if key in protocol.selected), keys[0] if keys else "")
    rest = [key for key in keys if key != across]
    up = next((key for key in rest if any(part in key.lower() for part in SCORES)), "")
    if not up:
        return None
    best: dict[float, float] = {}
    for row in rows:
        best[row[across]] = max(best.get(row[across], -math.inf), row[up])
    if len(best) < 2:
        return None
    return Curve(across, up, tuple(sorted(best.items())), _finite(protocol.selected.get(across)))


def _finite(value: Any) -> float | None:
    """Return a number as a float; None for what is no number, or none that can be drawn."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST:
        return None
    return float(value)


def curves_of(records: Sequence[Record]) -> list[Curve]:
    """Return the curves of one question's seeds that can share their axes: those named as the first's are."""
    found = [curve for record in records if (curve := curve_of(record.protocol))]
    return [curve for curve in found if (curve.across, curve.up) == (found[0].across, found[0].up)]


def plot(title: str, curves: Sequence[Curve], metrics: Mapping[str, MetricDefinition]) -> str:
    """Return the plot of one question's curves, of which there is at least one; a large dot is what was chosen."""
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    log = min(xs) > 0 and max(xs) / min(xs) > RATIO
    across, up = _Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT, log), _Axis(min(ys), max(ys), HEIGHT - BOTTOM, TOP)
    definition = metrics.get(curves[0].up.removeprefix("val_"))
    parts = [f'<svg class="validation" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><title>{escape(title)}</title>']
    for value in dict.fromkeys((up.low, (up.low + up.high) / 2, up.high)):
        label = number(value, definition) if definition else plain_number(value)
        at = up(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    for value, anchor in ((across.low, "start"), (across.high, "end")):
        at = across(value)
        label = plain_number(value)
        parts.append(f'<text class="tick" x="{at:.1f}" y="{HEIGHT - 22}" text-anchor="{anchor}">{label}</text>')
    for curve in curves:
        parts.append(_line(curve, across, up))
    words = f"{curves[0].across}{' (log scale)' if log else ''} → {curves[0].up}"
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="tick" x="{middle:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(words)}</text>')
    return "".join([*parts, "</svg>"])


def _line(curve: Curve, across: _Axis, up: _Axis) -> str:
    points = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in curve.points)
    parts = [f'<polyline class="curve" points="{points}"/>']
    for x, y in curve.points:
        kind, radius = (' class="picked"', "5") if x == curve.picked else ("", "2")
        parts.append(f'<circle{kind} cx="{across(x):.1f}" cy="{up(y):.1f}" r="{radius}"/>')
    return "".join(parts)


@dataclasses.dataclass(frozen=True)
class _Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(one) if self.log else one for one in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + (self.stop - self.start) * share

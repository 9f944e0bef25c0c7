"""Elements of SVG as text, and axes. Classes only, so that a page's policy may forbid inline style; foreign words are
escaped here and nowhere else."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from html import escape

WIDTH = 460
"""Units of every plot's view box: on a page a plot is as wide as its place."""
LETTER = 6.9
"""Units that a letter takes at most in a usual font, on the average; bold ones a tenth more."""


def svg(kind: str, title: str, desc: str, height: float, parts: Iterable[str]) -> str:
    """Return a whole plot; `title` is its name for those who do not see it, `desc` what it shows, in words."""
    said = f"<desc>{safe(desc)}</desc>" if desc else ""
    head = f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height:g}" role="img"><title>{safe(title)}</title>{said}'
    return "".join([head, *parts, "</svg>"])


def safe(words: str) -> str:
    """Return foreign words that stay text: escaped, and without characters that are none."""
    return escape("".join(char if char.isprintable() else "�" for char in words))


def shortened(name: str, letters: int) -> str:
    """Return a name of so many letters at most, without some of the middle: models often differ in their endings."""
    tail = letters // 3
    return name if len(name) <= letters else f"{name[: letters - 1 - tail]}…{name[-tail:]}"


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "") -> str:
    """Return words at a place; `anchor` is "end" or "middle", or empty for the start."""
    extra = "".join(f' {key}="{value}"' for key, value in (("class", kind), ("text-anchor", anchor)) if value)
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{safe(words)}</text>'


def label(x: float, y: float, name: str, letters: int, kind: str) -> str:
    """Return a model's name that ends at a place, whole under the pointer where it had to be shortened."""
    said = shortened(name, letters)
    tip = title(name) if said != name else ""
    return f'<g class="{kind}">{text(x, y, said, anchor="end")}{tip}</g>'


def line(kind: str, x1: float, y1: float, x2: float, y2: float, tip: str = "") -> str:
    """Return a line, with words that show under the pointer."""
    ends = f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"'
    return f"{ends}>{title(tip)}</line>" if tip else f"{ends}/>"


def path(kind: str, corners: Sequence[tuple[float, float]]) -> str:
    """Return a line through several places."""
    return f'<path class="{kind}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in corners)}"/>'


def box(kind: str, x: float, y: float, width: float, height: float) -> str:
    """Return a rectangle."""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def dot(x: float, y: float) -> str:
    """Return a model's place."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'


def title(words: str) -> str:
    """Return words that show under the pointer."""
    return f"<title>{safe(words)}</title>"


@dataclasses.dataclass(frozen=True)
class Axis:
    """Numbers along a line of the plot."""

    start: float
    stop: float
    ticks: tuple[tuple[float, str], ...]
    """(value, label), first and last at the ends of a linear axis."""
    begin: float
    """Place of `start`, in units of the view box; of `stop`, `end`."""
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return the place of a value."""
        start, stop = self.start, self.stop
        if self.log:
            value, start, stop = math.log10(value), math.log10(start), math.log10(stop)
        return self.begin + (self.end - self.begin) * (value - start) / (stop - start)


def axis(low: float, high: float, begin: float, end: float, *, percent: bool, steps: int = 5) -> Axis:
    """Return an axis with round numbers around low..high."""
    least = 0.02 if percent else 1e-6 * max(1.0, abs(high))
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    span = high - low
    sizes = [factor * 10.0**power for power in range(-12, 16) for factor in (1, 2, 5)]
    step = next((size for size in sizes if span / size <= steps), span)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    places = range(first, max(last, first + 1) + 1)
    ticks = tuple((place * step, f"{place * step * (100 if percent else 1) + 0.0:.4g}") for place in places)
    return Axis(ticks[0][0], ticks[-1][0], ticks, begin, end)


def log_axis(low: float, high: float, begin: float, end: float) -> Axis:
    """Return a logarithmic axis around 0 < low..high, with a margin on both sides."""
    span = math.log10(high / low)
    margin = max(0.08 * span, (0.7 - span) / 2, 0.1)
    start, stop = low / 10**margin, high * 10**margin
    decades = range(math.floor(math.log10(start)), math.ceil(math.log10(stop)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        inside = [f * 10.0**power for power in decades for f in factors if start <= f * 10.0**power <= stop]
        if len(inside) >= 3:
            break
    every = -(-len(inside) // 7)
    return Axis(start, stop, tuple((value, amount(value)) for value in inside[::every]), begin, end, log=True)


def amount(value: float) -> str:
    """Return a number as it is said, such as "22.1 M"."""
    for size, word in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {word}"
    return f"{value:.3g}"

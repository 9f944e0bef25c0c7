"""A comparison as one self-contained page: every task's difference drawn against its margin, and the samples whose
answers flipped. It holds no script, loads nothing, and opens from the disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from ssl_bench.comparison import words
from ssl_bench.comparison.testing import Flip
from ssl_bench.comparison.verdicts import WORST_FIRST, Comparison, SuiteResult, TaskResult
from ssl_bench.pages import page, template, trusted

Image = Callable[[TaskResult, Flip], str]
"""A flipped sample's picture as a `data:` address, or "" where there is none."""
WIDTH, HEIGHT = 220, 22
"""Pixels of an interval's drawing."""
MOST_FLIPS = 60
"""Samples shown per task."""


def html(found: Comparison, names: Mapping[str, Sequence[str]] | None = None, image: Image | None = None) -> str:
    """Return the page; `names` gives the class names of tasks, in words."""
    return page(
        "comparison.html",
        style=template("comparison.css"),
        found=found,
        title=words.title(found),
        rows=[_row(one, _reach(found.results)) for one in found.results],
        lines=words.plain_lines(found),
        legend=words.legend(found),
        groups=[_group(one, (names or {}).get(one.task, ()), image) for one in _by_interest(found) if one.flips],
        level=f"{100 * (1 - found.alpha):g}",
    )


def _reach(results: Sequence[TaskResult | SuiteResult]) -> float:
    """Return the largest share of its scale that a drawn interval or margin takes: all rows share one scale."""
    ends = [abs(end) / _scale(one) for one in results for end in (one.difference.low, one.difference.high, one.margin)]
    return max((end for end in ends if math.isfinite(end)), default=1.0) or 1.0


def _scale(one: TaskResult | SuiteResult) -> float:
    """Return what a row's differences are shares of, so that units can stand under one another."""
    return 1.0 if one.unit == "fraction" else abs(one.base) or 1.0


def _row(one: TaskResult | SuiteResult, reach: float) -> dict[str, Any]:
    suite = isinstance(one, SuiteResult)
    return {
        "name": words.suite_name(one) if isinstance(one, SuiteResult) else one.name,
        "suite": suite,
        "model": one.model,
        "protocol": "" if isinstance(one, SuiteResult) else one.protocol,
        "n": "" if isinstance(one, SuiteResult) else f"{one.n:,}",
        "base": words.value(one.base, one.unit),
        "cand": words.value(one.cand, one.unit),
        "delta": words.signed(one.difference.delta, one.unit),
        "interval": words.interval(one.difference, one.unit),
        "flips": words.flips(one) if isinstance(one, TaskResult) else "",
        "p": words.probability(one.p_holm),
        "verdict": one.verdict,
        "more": words.verdict(one).removeprefix(one.verdict).strip(" ,()"),
        "plot": trusted(_plot(one, reach)),
    }


def _plot(one: TaskResult | SuiteResult, reach: float) -> str:
    """Return the interval, its middle and the margin as SVG; left is worse."""
    sign = 1 if one.higher_is_better else -1
    scale = _scale(one) * reach

    def x(value: float) -> float:
        share = max(-1.0, min(1.0, sign * value / scale)) if math.isfinite(value) else math.copysign(1.0, sign * value)
        return round(WIDTH / 2 + share * (WIDTH / 2 - 6), 1)

    low, high = sorted((x(one.difference.low), x(one.difference.high)))
    edge, zero, middle = x(-sign * one.margin), WIDTH / 2, HEIGHT / 2
    said = f"{words.delta(one)} {words.points(one.unit)}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}" class="{one.verdict}">'
        f'<rect class="margin" x="{edge}" y="0" width="{round(zero - edge, 1)}" height="{HEIGHT}"/>'
        f'<line class="zero" x1="{zero}" x2="{zero}" y1="0" y2="{HEIGHT}"/>'
        f'<line class="range" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>'
        f'<circle cx="{x(one.difference.delta)}" cy="{middle}" r="4"/></svg>'
    )


def _by_interest(found: Comparison) -> list[TaskResult]:
    return sorted(found.tasks, key=lambda one: WORST_FIRST.index(one.verdict))


def _said(one: TaskResult, shown: int) -> str:
    """Return how many answers changed, and which are shown."""
    text = f"{one.flipped:,} of {one.answered:,} answers changed"
    if one.losses is not None:
        text += f": {one.losses:,} lost, {one.wins:,} won"
    return f"{text}. The first {shown}, lost ones first:" if one.flipped and shown < one.flipped else f"{text}."


def _group(one: TaskResult, names: Sequence[str], image: Image | None) -> dict[str, Any]:
    def name(label: int) -> str:
        return names[label] if 0 <= label < len(names) else str(label)

    shown = one.flips[:MOST_FLIPS]
    return {
        "title": f"{one.name} · {one.protocol}",
        "verdict": one.verdict,
        "said": _said(one, len(shown)),
        "flips": [
            {
                "sample": flip.sample,
                "target": name(flip.target),
                "base": name(flip.base),
                "cand": name(flip.cand),
                "seed": flip.seed if len(one.seeds) > 1 else None,
                "kind": "lost" if flip.base == flip.target else "won" if flip.cand == flip.target else "other",
                "image": trusted(escape(image(one, flip))) if image else "",
            }
            for flip in shown
        ],
    }

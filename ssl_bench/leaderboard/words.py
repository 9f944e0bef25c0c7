"""Numbers, facts and records in words, as the pages of models and tasks print them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ssl_bench.files import canonical_json
from ssl_bench.results.record import MetricDefinition

LINE = 110
"""Letters of JSON that stand on one line."""
DEEP = 8
"""Levels of JSON that are broken into lines."""


def plain_number(value: float) -> str:
    """Return a number in at most four digits."""
    return f"{value:.4g}"


def counted(value: float) -> str:
    """Return a large number for a reader, such as "22.1 M"; below a million in full."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.1f}\u00a0{unit}"
    return f"{value:,.0f}"


def signed(difference: float, definition: MetricDefinition) -> str:
    """Return a difference of two values with its sign: fractions in points with one decimal, else in four digits."""
    return f"{100 * difference:+.1f}" if definition.unit == "fraction" else f"{difference:+.4g}"


def spelt(value: Any) -> str:
    """Return a value of a record as text: words as they are, flags as yes and no, and anything else as JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else canonical_json(value)


def facts(pairs: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Return the pairs that say something, as text; 0 and "no" say something, what is empty or null does not."""
    return [(key, spelt(value)) for key, value in pairs if value not in (None, "", (), [], {})]


def laid_out(value: Any, indent: str = "") -> str:
    """Return a value as sorted JSON for readers: what fits stands on one line, and the rest is broken by key."""
    line = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if len(indent) + len(line) <= LINE or len(indent) > DEEP or not isinstance(value, Mapping | list | tuple):
        return line
    deeper = indent + " "
    if isinstance(value, Mapping):
        lines = [
            f"{deeper}{json.dumps(key, ensure_ascii=False)}: {laid_out(value[key], deeper)}" for key in sorted(value)
        ]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + laid_out(item, deeper) for item in value) + f"\n{indent}]"

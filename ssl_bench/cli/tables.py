"""Tables and JSON for the terminal."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import click


def echo_json(value: Any) -> None:
    """Print `value` as JSON on stdout; it is the command's contract with scripts."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def echo_table(header: Sequence[str], rows: Sequence[Sequence[Any]], numeric: Sequence[int] = ()) -> None:
    """Print rows in aligned columns; columns in `numeric` are set right. Piped output is tab-separated."""
    texts = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(header), *texts]:
            click.echo("\t".join(row))
        return
    widths = [max(len(row[i]) for row in [list(header), *texts]) for i in range(len(header))]
    for number, row in enumerate([list(header), *texts]):
        cells = [
            cell.rjust(width) if i in numeric else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo(click.style("  ".join(cells).rstrip(), bold=number == 0))


def echo_facts(facts: Mapping[str, Any], indent: int = 0) -> None:
    """Print what is not empty as `key  value`, a list one below the other; on a terminal long values are wrapped."""
    kept = {key: value for key, value in facts.items() if value not in ("", None, [], ())}
    start = indent + max(map(len, kept), default=0) + 2
    width = shutil.get_terminal_size().columns - start if sys.stdout.isatty() else 10**6
    for key, value in kept.items():
        lines = []
        for item in value if isinstance(value, list | tuple) else [value]:
            wrapped = textwrap.wrap(str(item), max(width, 40), break_long_words=False, break_on_hyphens=False)
            lines += [wrapped[0], *(f"  {line}" for line in wrapped[1:])] if wrapped else []
        for number, line in enumerate(lines):
            head = click.style(key.ljust(start - indent), bold=True) if number == 0 else " " * (start - indent)
            click.echo(f"{' ' * indent}{head}{line}")


def number(value: float | None, unit: str) -> str:
    """Return a metric's value for readers: a fraction as percent, 0.9691 is "96.91"; else five digits; None is ""."""
    if value is None:
        return ""
    return f"{100 * value:.2f}" if unit == "fraction" else f"{value:.5g}"


def interval(low: float | None, high: float | None, unit: str) -> str:
    """Return "96.32-97.43", or "" where there is none."""
    return "" if low is None or high is None else f"{number(low, unit)}-{number(high, unit)}"


def headed(units: Sequence[str], values: Sequence[str]) -> tuple[str, list[str]]:
    """Return a column's heading and cells: "%" above bare numbers where all are fractions, else each with its unit."""
    if set(units) <= {"fraction"}:
        return "%", list(values)
    words = {"fraction": "%"}
    return "value", [f"{value} {words.get(unit, unit)}".rstrip() for unit, value in zip(units, values, strict=True)]


def duration(seconds: float) -> str:
    """Return seconds for readers."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

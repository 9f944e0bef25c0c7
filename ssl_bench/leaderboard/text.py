"""A board as Markdown and as CSV: the same rows and columns as the page."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator

from ssl_bench.leaderboard import best
from ssl_bench.leaderboard.ranking import Board, Cell, Column, Mean, Row, Table
from ssl_bench.results.describe import number

MISSING = "—"


def markdown(board: Board) -> str:
    """Return one Markdown table per protocol; bold as on the page, "—" with k/n where a mean lacks tasks."""
    lines = [f"# {_cell(board.suite.title)}"]
    if board.suite.name:
        suite = board.suite
        lines += ["", f"Suite {suite.name}, version {suite.version}; mean: {suite.aggregate}, {suite.aggregator.what}."]
    for table in board.tables:
        lines += ["", f"## {_cell(table.protocol)}", "", *_markdown_table(table)]
        if table.absent:
            lines += ["", f"No records yet: {', '.join(map(_cell, table.absent))}."]
    lines += ["", _legend(board)]
    if board.skipped:
        lines += ["", "Left out:", "", *(f"- {_cell(what)}: {_cell(why)}" for what, why in board.skipped)]
    return "\n".join(lines) + "\n"


def _legend(board: Board) -> str:
    return (
        f"Percent unless a unit is given. {bold(board)} "
        "A mean needs every task of its group. *Italic*: controls, that is untrained networks, raw "
        "pixels and the most frequent class. ≠: another run of the same job got another number; the oldest is shown."
        + (" †: the entry declares that the weights have seen images of the task." if _contaminated(board) else "")
    )


def _contaminated(board: Board) -> bool:
    return any(cell.contaminated for table in board.tables for row in table.rows for cell in row.cells if cell)


def bold(board: Board) -> str:
    """Return what bold means on this board, in sentences."""
    return best.legend(column for table in board.tables for column in table.columns)


def _markdown_table(table: Table) -> Iterator[str]:
    heads = ["model", *mean_heads(table), *map(head, table.columns)]
    yield "| " + " | ".join(map(_cell, heads)) + " |"
    yield "|" + "|".join([" :-- ", *([" --: "] * (len(heads) - 1))]) + "|"
    for row in table.rows:
        name = f"*{_cell(label(row))}*" if row.control else _cell(label(row))
        means = [_mean(mean, table) for mean in means_in(row, table)]
        yield "| " + " | ".join([name, *means, *map(_markdown_value, row.cells, table.columns)]) + " |"
    chances = [chance(column) for column in table.columns]
    blank = [""] * (len(mean_heads(table)) - 1)
    yield "| " + " | ".join(["*chance*", _chance_mean(table), *blank, *chances]) + " |"


def head(column: Column) -> str:
    """Return a task's name, with the unit where it is not percent."""
    unit = column.definition.unit
    return column.task.name if unit == "fraction" else f"{column.task.name} ({unit})"


def label(row: Row) -> str:
    """Return a row's name with what sets it apart from others of that name."""
    return f"{row.model.name} ({row.variant})" if row.variant else row.model.name


def means_of(groups: Iterable[str]) -> list[str]:
    """Return the groups whose means say more than the mean of all: none where there is but one."""
    found = list(groups)
    return found if len(found) > 1 else []


def mean_heads(table: Table) -> list[str]:
    """Return the headings of a table's means: of all, of clean tasks where a row declares others, of groups."""
    return ["mean", *(["clean mean"] if has_clean(table) else []), *means_of(table.groups)]


def means_in(row: Row, table: Table) -> list[Mean | None]:
    """Return a row's means under the headings of `mean_heads`."""
    clean = [row.clean] if has_clean(table) else []
    return [row.mean, *clean, *(row.groups[group] for group in means_of(table.groups))]


def has_clean(table: Table) -> bool:
    """Return whether a row of the table declares tasks of whose images its weights have seen something."""
    return any(row.clean for row in table.rows)


def marks(cell: Cell) -> str:
    """Return what is to be known of a number beside it: contamination, drift."""
    return ("†" if cell.contaminated else "") + ("≠" if cell.drift else "")


def _markdown_value(cell: Cell | None, column: Column) -> str:
    if cell is None:
        return MISSING
    text = number(cell.value, column.definition)
    return f"**{text}**{marks(cell)}" if cell.best else f"{text}{marks(cell)}"


def _mean(mean: Mean | None, table: Table) -> str:
    if mean is None:
        return ""
    if mean.value is None:
        return MISSING if mean.present == mean.total else f"{MISSING} {mean.present}/{mean.total}"
    return number(mean.value, table.means)


def _chance_mean(table: Table) -> str:
    return MISSING if table.chance.value is None else _mean(table.chance, table)


def chance(column: Column) -> str:
    """Return what guessing gives, as it is printed."""
    value = column.definition.chance
    return MISSING if value is None else number(value, column.definition)


def _cell(text: str) -> str:
    """Return foreign text that can neither leave its cell nor become markup or HTML."""
    text = re.sub(r"\s+", " ", "".join(char if char.isprintable() else " " for char in text))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*|\[\]])", r"\\\1", text)


def csv_text(board: Board) -> str:
    """Return the board as CSV: one line per protocol and model; a task has its value, low, high and number of seeds.

    Values are as in the records (fractions, not percent), empty where there is none.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    tasks = [task for task in board.suite.tasks if any(task not in table.absent for table in board.tables)]
    parts = [f"{task}{end}" for task in tasks for end in ("", ".low", ".high", ".seeds")]
    groups = means_of(board.suite.groups)
    facts = ["protocol", "model", "variant", "control", "parameters", "checked", "division", "clean mean"]
    writer.writerow(map(_safe, [*facts, "mean", *groups, *parts]))
    for table in board.tables:
        place = {column.task.name: i for i, column in enumerate(table.columns)}
        for row in table.rows:
            clean = row.clean.value if row.clean else None
            means = [row.mean.value, *(row.groups[group].value if group in row.groups else None for group in groups)]
            cells = [row.cells[place[task]] if task in place else None for task in tasks]
            values = [value for cell in cells for value in _csv_values(cell)]
            words = [_safe(table.protocol), _safe(row.model.name), _safe(row.variant), "yes" if row.control else "no"]
            words += [str(row.model.parameters), row.standing.level, row.entry.division if row.entry else ""]
            writer.writerow([*words, *(_blank(value) for value in (clean, *means, *values))])
    return file.getvalue()


def _csv_values(cell: Cell | None) -> tuple[float | None, ...]:
    return (cell.value, cell.low, cell.high, len(cell.records)) if cell else (None,) * 4


def _blank(value: float | None) -> str:
    return "" if value is None else repr(value)


def _safe(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text

"""A board as LaTeX: one booktabs table per protocol, the same rows and columns as the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssl_bench.leaderboard.ranking import Board, Cell, Column, Mean, Row, Table
from ssl_bench.leaderboard.text import chance, head, label, marks, mean_heads, means_in
from ssl_bench.results.describe import number

MISSING = "--"
ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": "{-}",
    "[": "{[}",
    "]": "{]}",
    "—": "---",
    "–": "--",
    "×": r"\texttimes{}",
    "±": r"\textpm{}",
}
"""What LaTeX would read as an instruction, or as a ligature, and how it is written instead."""
MARKS = {"†": r"\,$\dagger$", "≠": r"\,$\neq$"}
"""What stands beside a number, and how it is written."""


def latex(board: Board) -> str:
    """Return a file to `\\input`: it needs the packages booktabs and textcomp. Bold and italics are as on the page."""
    lines = [f"% {_comment(board.suite.title or 'Results')}", r"% \usepackage{booktabs,textcomp}"]
    for table in board.tables:
        lines += ["", *_table(board, table)]
    lines += [f"% left out: {_comment(what)}: {_comment(why)}" for what, why in board.skipped]
    return "\n".join(lines) + "\n"


def _table(board: Board, table: Table) -> Iterator[str]:
    means = mean_heads(table)
    yield r"\begin{table}"
    yield rf"\caption{{{escape(_caption(board, table))}}}"
    yield rf"\begin{{tabular}}{{l{'r' * (len(means) + len(table.columns))}}}"
    yield r"\toprule"
    yield _line(escape(text) for text in ("model", *means, *map(head, table.columns)))
    yield r"\midrule"
    for row in table.rows:
        cells = [_value(cell, column) for cell, column in zip(row.cells, table.columns, strict=True)]
        yield _line([_name(row), *(_mean(mean, table) for mean in means_in(row, table)), *cells])
    yield r"\midrule"
    chances = [chance(column).replace("—", MISSING) for column in table.columns]
    yield _line([r"\textit{chance}", _mean(table.chance, table, bare=True), *([""] * (len(means) - 1)), *chances])
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table}"


def _caption(board: Board, table: Table) -> str:
    absent = f" No records: {', '.join(table.absent)}." if table.absent else ""
    return f"{board.suite.title or 'Results'}, {table.protocol}. Percent unless a unit is given.{absent}"


def _line(cells: Sequence[str] | Iterator[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _name(row: Row) -> str:
    text = escape(label(row))
    return rf"\textit{{{text}}}" if row.control else text


def _value(cell: Cell | None, column: Column) -> str:
    if cell is None:
        return MISSING
    text = _plain(number(cell.value, column.definition))
    mark = "".join(MARKS[mark] for mark in marks(cell))
    return rf"\textbf{{{text}}}{mark}" if cell.best else f"{text}{mark}"


def _mean(mean: Mean | None, table: Table, bare: bool = False) -> str:
    if mean is None:
        return ""
    if mean.value is None:
        whole = bare or mean.present == mean.total
        return MISSING if whole else f"{MISSING} {mean.present}/{mean.total}"
    return _plain(number(mean.value, table.means))


def _plain(text: str) -> str:
    """Return a number with a minus sign where it has one."""
    return f"${text}$" if text.startswith("-") else text


def escape(text: str) -> str:
    """Return foreign text that LaTeX prints and does not obey."""
    return "".join(ESCAPES.get(char, char if char.isprintable() else " ") for char in text)


def _comment(text: str) -> str:
    """Return foreign text that stays in its comment."""
    return "".join(char if char.isprintable() else " " for char in text)

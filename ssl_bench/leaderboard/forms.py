"""The forms that a board is published in, by the names of their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ssl_bench.files import atomic_write
from ssl_bench.leaderboard import data, latex, site, text
from ssl_bench.leaderboard.ranking import Board

Form = Callable[[Board], str | bytes]
FORMS: Mapping[str, Form] = {
    "html": site.html,
    "markdown": text.markdown,
    "csv": text.csv_text,
    "latex": latex.latex,
    "json": data.json_text,
    "parquet": data.parquet_bytes,
}
"""Name of a form to what renders it."""
ENDINGS = {"markdown": "md", "latex": "tex"}
"""Endings of the forms' files where they are not the forms' names."""


def write(board: Board, form: str, path: Path) -> None:
    """Write the board in a form; raise MissingError where the file cannot be written or a package is missing."""
    content = FORMS[form](board)
    with atomic_write(path) as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8"))


def write_all(board: Board, folder: Path) -> list[Path]:
    """Write the board in every form into a folder, as `board.html`, `board.md` and so on, and return the files."""
    paths = [folder / f"board.{ENDINGS.get(form, form)}" for form in FORMS]
    for form, path in zip(FORMS, paths, strict=True):
        write(board, form, path)
    return paths

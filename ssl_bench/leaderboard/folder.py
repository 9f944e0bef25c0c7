"""A board as a folder: the board, a page per model and per task, and the tables, each made when it is asked for.

Names come from the slugs of the store, so that no stranger's name becomes a path.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ssl_bench.files import write_text
from ssl_bench.leaderboard import addresses, data, model_page, site, task_page, text
from ssl_bench.leaderboard.material import Material
from ssl_bench.leaderboard.ranking import Board
from ssl_bench.pages import page, template

Files = Mapping[str, Callable[[], str]]
"""Name in the folder to what renders the file's text."""
MARK = '<meta name="generator" content="ssl-bench">'
"""By which a page that this module once wrote is known."""


def files_of(material: Material) -> dict[str, Callable[[], str]]:
    """Return every file of a board's folder; nothing is rendered until it is called for."""
    board = material.board
    files: dict[str, Callable[[], str]] = {
        addresses.BOARD: lambda: site.html(board, pages=True),
        "board.csv": lambda: text.csv_text(board),
        "board.md": lambda: text.markdown(board),
        "board.json": lambda: data.json_text(board),
    }
    for name in material.by_model:
        files[addresses.of_model(name)] = functools.partial(model_html, material, name)
    for name in material.by_task:
        files[addresses.of_task(name)] = functools.partial(task_html, material, name)
    return files


def records_of(board: Board) -> dict[str, Callable[[], str]]:
    """Return the board's records as files of their own, which a folder of pages does without: a server gives them."""
    return {f"records/{record.record_id}.json": record.to_text for record in board.records}


def pages_of(material: Material) -> Iterator[tuple[str, str]]:
    """Give (name, text) of every file of a board's folder."""
    for name, rendered in files_of(material).items():
        yield name, rendered()


def write(material: Material, folder: Path) -> list[Path]:
    """Write every page into `folder` and return their paths; pages of models and tasks that are no more are removed.

    Raises MissingError where the folder cannot be written.
    """
    written = []
    for name, content in pages_of(material):
        write_text(folder / name, content)
        written.append(folder / name)
    for path in (*folder.glob("models/*.html"), *folder.glob("tasks/*.html")):
        if path not in written and MARK in path.read_text(encoding="utf-8", errors="replace")[:2000]:
            path.unlink()
    return written


def model_html(material: Material, name: str) -> str:
    """Return a model's page."""
    return _filled("model.html", material, **model_page.context(material, name))


def task_html(material: Material, name: str) -> str:
    """Return a task's page."""
    return _filled("task.html", material, **task_page.context(material, name))


def _filled(template_name: str, material: Material, **context: Any) -> str:
    suite = material.board.suite
    return page(
        template_name,
        style="\n".join(map(template, ("board.css", "plots.css", "pages.css"))),
        board={"title": suite.title or "Results", "page": addresses.UP + addresses.BOARD},
        **context,
    )

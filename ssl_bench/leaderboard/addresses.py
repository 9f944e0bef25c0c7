"""Where the pages of a board's folder lie, from the board on: names of files that strangers' names cannot steer."""

from __future__ import annotations

from ssl_bench.results.slugs import slug

BOARD = "board.html"
UP = "../"
"""From a page of a model or a task to the board's folder."""


def of_model(name: str) -> str:
    """Return where a model's page lies."""
    return f"models/{slug(name)}.html"


def of_task(name: str) -> str:
    """Return where a task's page lies."""
    return f"tasks/{slug(name)}.html"

"""Boards for the browser, and what a reader sees of them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from ssl_bench import tasks
from ssl_bench.leaderboard import site
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.means import Mean
from ssl_bench.leaderboard.ranking import Board, Row, make_board
from ssl_bench.model_zoo import ModelCard, Published
from ssl_bench.results.standing import Standing
from ssl_bench.results.store import Results
from ssl_bench.tasks import SuiteCard
from tests.results.factory import make_model, make_record

TOP = Path(__file__).parents[2]
SUITE = SuiteCard("s", "Small", {"A": ("cifar10", "cifar100"), "B": ("dtd",)}, ("knn", "logistic_regression"))
VALUES = {
    "alpha": (0.9, 0.6, 0.5),
    "beta": (0.8, 0.7, 0.5),
    "gamma": (0.8, 0.5, 0.7),
    "delta": (0.95, 0.65, None),
    "noise": (0.2, 0.05, 0.1),
}
"""Model to its values on cifar10, cifar100 and dtd."""
SIZES = {"alpha": 22_000_000, "beta": 86_000_000, "gamma": 300_000_000, "delta": 5_000_000, "noise": 22_000_000}
LICENCES = {"alpha": "MIT", "beta": "Apache-2.0", "gamma": "CC-BY-NC-4.0", "delta": "MIT", "noise": ""}


def model_of(name: str) -> Any:
    model = make_model(name, adapter="random" if name == "noise" else "timm")
    data = "ImageNet-1k" if name in ("alpha", "beta") else "LVD-142M"
    return dataclasses.replace(
        model, parameters=SIZES[name], about={"data": data, "licence": LICENCES[name]} if LICENCES[name] else {}
    )


def with_declarations(row: Row) -> Row:
    """Return a row as entries and verification notes make it."""
    if row.model.name == "beta":
        return dataclasses.replace(
            row, standing=Standing("re-scored", "the maintainers", "2026-01-01T00:00:00Z", "all")
        )
    if row.model.name != "gamma":
        return row
    entry = Entry("gamma", "Lab", "a@b.c", "CC-BY-NC-4.0", "private", "0" * 64, ("LVD-142M", "CIFAR-10"), False, "open")
    entry = dataclasses.replace(entry, contamination={"cifar10": "its test images"})
    cells = (dataclasses.replace(row.cells[0], contaminated="its test images"), *row.cells[1:])
    return dataclasses.replace(row, entry=entry, cells=cells, clean=Mean(0.6, 2, 2))


def small_board() -> Board:
    """Return a board of five models: ties, a gap, a control, an entry, a checked row, a published number."""
    records = [
        make_record(model_of(name), task, protocol, value=value)
        for protocol in ("knn", "logistic_regression")
        for name, values in VALUES.items()
        for task, value in zip(SUITE.tasks, values, strict=True)
        if value is not None and (protocol == "knn" or name in ("alpha", "beta"))
    ]
    card = ModelCard("alpha", "timm", published={"cifar10/knn": Published(0.91, "https://example.org")})
    board = make_board(records, SUITE, {"alpha": card})
    declared = (dataclasses.replace(table, rows=tuple(map(with_declarations, table.rows))) for table in board.tables)
    return dataclasses.replace(board, tables=tuple(declared))


@pytest.fixture(scope="session")
def small() -> str:
    return site.html(small_board())


@pytest.fixture(scope="session")
def real() -> tuple[Board, str]:
    """The board of the committed records."""
    board = make_board(Results(TOP / "results").records(), tasks.get_suite("small7"))
    return board, site.html(board)


@pytest.fixture(scope="session")
def large() -> str:
    """A page of 130 models and 36 tasks in three groups, which does not hold the records."""
    suite = SuiteCard("l", "Large", {f"g{i}": tuple(f"t{i}{j:02d}" for j in range(12)) for i in range(3)}, ("knn",))
    records = [
        make_record(f"m{i:03d}", task, value=(37 * i + 11 * j) % 101 / 101)
        for i in range(130)
        for j, task in enumerate(suite.tasks)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "MOST_WHOLE", 1000)
        return site.html(make_board(records, suite))


# ---------------------------------------------------------------- what is seen


def names(tab: Any, table: int = 0) -> list[str]:
    """Return the models of the rows that are seen, in their order."""
    labels = tab.locator(f"#board-{table} tbody tr:visible .model").all_inner_texts()
    return [label.lower() for label in labels]


def head(tab: Any, name: str, table: int = 0) -> Any:
    """Return a heading's button."""
    return tab.locator(f"#board-{table} .heads button", has_text=re.compile(f"^{name}$"))


def column(tab: Any, name: str, table: int = 0) -> dict[str, str]:
    """Return what a column shows, by model."""
    heads = tab.locator(f"#board-{table} .heads th").all_text_contents()
    at = next(i for i, said in enumerate(heads) if said.split(",")[0].strip() == name)
    script = "(rows, at) => rows.map((row) => tables.textOf(row.cells[at])?.data.trim() ?? '')"
    shown = tab.locator(f"#board-{table} tbody tr:visible").evaluate_all(script, at)
    return dict(zip(names(tab, table), shown, strict=True))


def tick(tab: Any, facet: str, value: str) -> None:
    """Tick or untick a value of a menu."""
    menu = tab.locator(f"[data-facet={facet}]")
    menu.locator("summary").click()
    menu.get_by_label(value, exact=True).click()
    menu.locator("summary").click()

"""docs/models.md tells the truth: what it names is there, what is there it names, and its figures were measured."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from pathlib import Path

import pytest

import ssl_bench
from ssl_bench import model_zoo
from ssl_bench.checkpoints import families

TOP = Path(ssl_bench.__file__).parent.parent
DOCS = TOP / "docs"
PAGE = (DOCS / "models.md").read_text(encoding="utf-8") if DOCS.is_dir() else ""
FIGURE = r"\d\.\de[+-]\d\d"
STATES = (
    "loads (parity FIGURE)", "loads (layout only)", "needs conversion", "not read", "no weights known", "not checked",
    "no backbone of its own", "not an image backbone",
)  # fmt: skip

pytestmark = pytest.mark.skipif(not PAGE, reason="not run from a checkout")


def table(text: str, columns: int) -> list[list[str]]:
    """Return the cells of the rows of all tables with so many columns, without their headings."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:2] == "| "]
    return [row for row in rows if len(row) == columns and row[0] not in ("system", "family", "state")]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def rows() -> list[list[str]]:
    """Return (system, state, read by, cards, note) of every row."""
    return table(PAGE, 5)


def surveyed() -> list[list[str]]:
    """Return the rows of the systems that were surveyed, which stand before those that the cards hold besides."""
    return table(PAGE[: PAGE.index("## Others")], 5)


def measured() -> dict[str, set[str]]:
    """Return the figures of docs/parity.md, of pooled features, by family."""
    found: dict[str, set[str]] = {}
    for family, _, _, pooled, *_ in table((DOCS / "parity.md").read_text(encoding="utf-8"), 6):
        found.setdefault(family, set()).add(pooled)
    return found


def test_every_system_has_one_row() -> None:
    """All 208 systems of the survey have a row, and none has two."""
    systems = [row[0] for row in surveyed()]
    assert len(systems) == len(set(systems)) == 208


def test_every_state_is_one_that_is_explained() -> None:
    """A row's state is one of those that the page explains, and the page counts them rightly."""
    counted = Counter(re.sub(FIGURE, "FIGURE", row[1]) for row in surveyed())
    said = {state: int(count) for state, count, _ in table(PAGE, 3)}
    assert said == counted
    assert set(STATES) == set(said)
    assert {re.sub(FIGURE, "FIGURE", row[1]) for row in rows()} <= set(STATES)


def test_every_family_and_card_that_the_page_names_is_there() -> None:
    """Families, adapters and cards of the table exist; a pattern stands for one card at least."""
    readers = {*families.names(), *model_zoo.ADAPTERS}
    cards = model_zoo.names()
    for system, _, read_by, names, _ in rows():
        assert set(named(read_by)) <= readers, system
        for name in named(names):
            assert fnmatch.filter(cards, name), (system, name)


def test_the_page_names_every_family_and_card() -> None:
    """Nothing that can be evaluated is missing: every family is in a row, and so is every card."""
    read_by = {name for row in rows() for name in named(row[2])}
    assert set(families.names()) <= read_by
    patterns = {*(name for row in rows() for name in named(row[3])), "majority", "pixels", "random"}
    missing = [card for card in model_zoo.names() if not any(fnmatch.fnmatch(card, each) for each in patterns)]
    assert missing == []


def test_a_system_that_loads_says_by_what() -> None:
    """A row that loads names the family or adapter; a card that it names is loaded by one of these."""
    for system, state, read_by, names, _ in rows():
        assert named(read_by) or not state.startswith("loads"), system
        if not state.startswith("loads"):
            continue
        for name in (card for pattern in named(names) for card in fnmatch.filter(model_zoo.names(), pattern)):
            card = model_zoo.get(name)
            assert {card.weights.family, card.adapter} & set(named(read_by)), (system, name)


def test_every_figure_is_measured() -> None:
    """A figure of a row is a row of docs/parity.md, of one of the row's families."""
    figures = measured()
    seen = 0
    for system, state, read_by, _, note in rows():
        own = {figure for family in named(read_by) for figure in figures.get(family, set())}
        for figure in re.findall(FIGURE, state + note):
            seen += 1
            assert figure in own, (system, figure)
    assert seen > 30

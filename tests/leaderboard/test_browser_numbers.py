"""The board's page in a real browser: its numbers in every view, in the address and in exports."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import rankdata

from ssl_bench import aggregators
from ssl_bench.aggregators import Answer
from ssl_bench.leaderboard import latex, page_data, site, text
from ssl_bench.leaderboard.ranking import make_board
from tests.leaderboard.boards import SUITE, VALUES, column, head, names, small_board, tick
from tests.leaderboard.test_site import HOSTILE
from tests.results.factory import make_model, make_record, make_task


def test_normalised_numbers(visitor, real):
    """Every chance-normalised number and mean of the committed records is that of the suites' own aggregator."""
    board, page = real
    tab = visitor.open(page)
    tab.select_option("#view", "normal")
    whole = aggregators.get("chance_normalised_mean@1")
    for place, table in enumerate(board.tables):
        script = "(rows) => rows.map((row) => [...row.cells].slice(2).map((cell) => tables.textOf(cell).data.trim()))"
        shown = tab.locator(f"#board-{place}").evaluate(
            f"(board) => ({script})(tables.all[{place}].facts.rows.map((_, row) => tables.all[{place}].rows[row]))"
        )
        for row, said in zip(table.rows, shown, strict=True):
            answers = [
                Answer(cell.value, one.definition.unit, True, one.definition.chance, page_data.best_of(one.definition))
                for cell, one in zip(row.cells, table.columns, strict=True)
                if cell
            ]
            known = iter(answers)
            each = [_percent(whole.mean([next(known)]) if cell else None) for cell in row.cells]
            assert said[1 + len(table.groups) :] == each
            assert said[0] == _percent(None if None in row.cells else whole.mean(answers))


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{100 * value:.1f}"


def test_ranks(visitor, small):
    """Ranks are those of SciPy among the rows that are shown, equal values sharing the mean; so are their means."""
    tab = visitor.open(small)
    tab.select_option("#view", "ranks")
    assert column(tab, "cifar10") == {"alpha": "2", "beta": "3.5", "gamma": "3.5", "noise": "5", "delta": "1"}
    tab.uncheck("#show-controls")
    tab.fill("#least", "6")
    kept = ["alpha", "beta", "gamma"]
    expected = [rankdata([-VALUES[name][i] for name in kept]) for i in range(3)]
    for i, task in enumerate(SUITE.tasks):
        assert [float(column(tab, task)[name]) for name in kept] == list(expected[i])
    means = {name: float(value) for name, value in column(tab, "All").items()}
    assert means == pytest.approx({kept[i]: sum(one[i] for one in expected) / 3 for i in range(3)}, abs=0.006)
    assert tab.locator("#board-0 [aria-sort]").get_attribute("aria-sort") == "ascending"


def test_differences(visitor, small):
    """A chosen row stays as it is; every other number becomes its signed difference to it, marked better or worse."""
    tab = visitor.open(small)
    tab.select_option("#base", "beta")
    assert column(tab, "cifar10") == {
        "alpha": "+10.0",
        "beta": "80.0",
        "gamma": "0.0",
        "noise": "−60.0",
        "delta": "+15.0",
    }
    assert column(tab, "dtd")["delta"] == "—"
    assert column(tab, "All")["alpha"] == "0.0"
    better = tab.locator("#board-0 tbody tr", has_text="alpha").locator("td.better, td.worse")
    kinds = better.evaluate_all("(cells) => cells.map((cell) => [tables.textOf(cell).data, cell.className])")
    assert {kind for text, kind in kinds if text.startswith("+")} <= {"better", "mean better", "best better"}
    assert {kind for text, kind in kinds if text.startswith("−")} <= {"worse", "mean worse", "best worse"}
    assert not tab.locator("#board-0 td small:not([class])").first.is_visible()
    tab.select_option("#base", "")
    assert column(tab, "cifar10")["alpha"] == "90.0"
    assert tab.locator("td.better, td.worse").count() == 0


def test_lower_is_better(visitor):
    """Where a metric falls with quality, a smaller number is better: in order, ranks and differences."""

    def flipped(name: str, value: float) -> Any:
        record = make_record(name, value=value)
        definition = dataclasses.replace(record.definition("top1"), higher_is_better=False)
        task = dataclasses.replace(record.task, metric="error", metrics={"error": definition})
        return dataclasses.replace(record, task=task, metrics={"error": record.headline})

    tab = visitor.open(site.html(make_board([flipped("bad", 0.5), flipped("good", 0.1)])))
    head(tab, "cifar10").click()
    assert names(tab) == ["good", "bad"]
    tab.select_option("#base", "bad")
    assert column(tab, "cifar10")["good"] == "−40.0"
    assert "better" in tab.locator("#board-0 tbody tr").first.locator("td").last.get_attribute("class")
    tab.select_option("#base", "")
    tab.select_option("#view", "ranks")
    assert column(tab, "cifar10") == {"good": "1", "bad": "2"}


# ---------------------------------------------------------------- address and export


def test_the_address_holds_the_view(visitor, small, tmp_path):
    """The address after some choices, opened anew, shows the same page: rows, numbers, columns and controls."""
    path = tmp_path / "board.html"
    path.write_text(small, encoding="utf-8")
    tab = visitor.open(path)
    head(tab, "cifar10").click()
    head(tab, "cifar100").click(modifiers=["Shift"])
    head(tab, "cifar100").click(modifiers=["Shift"])
    tick(tab, "data", "LVD-142M")
    tick(tab, "columns", "B")
    tab.fill("#most", "400.5")
    tab.select_option("#view", "normal")
    tab.select_option("#base", "gamma")
    tab.uncheck("#show-intervals")
    again = visitor.open(path, tab.evaluate("location.hash"))
    assert again.locator("main").inner_text() == tab.locator("main").inner_text()
    values = "() => [...document.querySelectorAll('#tools :is(input, select)')].map((one) => one.checked + one.value)"
    assert again.evaluate(values) == tab.evaluate(values)
    again.click("#reset")
    assert again.evaluate("location.hash") in ("", "#")


@pytest.mark.parametrize(
    "address", ["#find=%zz&data=%25zz", "#sort.knn=nothing&view=x&base=nobody", "#record=0&model=?"]
)
def test_a_wrong_address_breaks_nothing(visitor, small, address):
    """An address that names nothing that is here shows the usual order and no complaint."""
    tab = visitor.open(small, address)
    assert tab.locator("#count").inner_text().endswith("of 5 models")
    tab.click("#reset")
    assert names(tab) == ["alpha", "beta", "gamma", "noise", "delta"]


def exported(tab: Any, form: str) -> str:
    tab.select_option("#format", form)
    with tab.expect_download() as waiting:
        tab.click("#download")
    assert waiting.value.suggested_filename == f"board.{form}"
    return Path(waiting.value.path()).read_text(encoding="utf-8")


@pytest.mark.parametrize("which", ["real", "small"])
def test_the_usual_view_is_exported_as_the_board_is(visitor, request, which):
    """The page as it opens gives, as Markdown and as LaTeX, the tables that the command writes, marks and clean means
    with them."""
    board, page = request.getfixturevalue("real") if which == "real" else (small_board(), site.html(small_board()))
    tab = visitor.open(page)
    written = [line for line in text.markdown(board).splitlines() if line.startswith("|")]
    assert [line for line in exported(tab, "md").splitlines() if line.startswith("|")] == written
    ours = [line for line in latex.latex(board).splitlines() if line.endswith(r"\\")]
    assert [line for line in exported(tab, "tex").splitlines() if line.endswith(r"\\")] == ours


def test_the_current_view_is_exported(visitor, small):
    """CSV and JSON hold the rows, columns and numbers that are shown, in their order and as exact as the records."""
    tab = visitor.open(small)
    head(tab, "cifar10").click()
    tab.uncheck("#show-controls")
    tick(tab, "columns", "B")
    tick(tab, "protocol", "knn")
    rows = list(csv.DictReader(io.StringIO(exported(tab, "csv"))))
    assert [row["model"] for row in rows] == ["delta", "alpha", "beta", "gamma"]
    assert [float(row["cifar10"]) for row in rows] == [0.95, 0.9, 0.8, 0.8]
    assert "cifar10.low" in rows[0]
    assert "dtd" not in rows[0]
    assert rows[0]["mean"] == ""
    assert [row["checked"] for row in rows] == ["self-reported", "self-reported", "re-scored", "self-reported"]
    tab.select_option("#base", "beta")
    body = json.loads(exported(tab, "json"))
    assert body["difference_to"] == "beta"
    (table,) = body["tables"]
    assert [row["values"]["cifar100"] for row in table["rows"]] == pytest.approx([-0.05, -0.1, 0.7, -0.2])
    assert "$-10.0$" in exported(tab, "tex")


def test_hostile_names_stay_text(visitor):
    """Names of strangers run nothing, in the table, the drawer and the menus; no exported cell is a formula."""
    records = [
        make_record(dataclasses.replace(make_model(name), about={"data": name, "licence": name}), make_task(name))
        for name in HOSTILE
    ]
    tab = visitor.open(site.html(make_board(records)))
    for at in range(len(HOSTILE)):
        tab.locator("#board-0 tbody .model").nth(at).click()
        tab.keyboard.press("Escape")
    assert tab.locator("img, b:not(.recipe b, .read b), iframe").count() == 0
    assert tab.locator("[data-facet=data] input").evaluate_all("(all) => all.map((one) => one.value)")
    for form in ("csv", "md", "tex", "json"):
        said = exported(tab, form)
        if form == "csv":
            cells = [cell for row in csv.reader(io.StringIO(said)) for cell in row]
            assert not [cell for cell in cells if re.match(r"[=+@\t\r]|-\D", cell)]
            assert "'=HYPERLINK(1)" in cells
        if form == "md":
            lines = [line for line in said.splitlines() if line.startswith("|")]
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
            assert "<" not in said


def test_the_view_and_its_address_are_copied(visitor, small):
    """The table in the chosen format, and the address of the view, are copied where the browser allows it."""
    tab = visitor.open(small, permissions=["clipboard-read", "clipboard-write"])
    tab.select_option("#view", "ranks")
    tab.select_option("#format", "md")
    tab.click("#copy")
    tab.get_by_text("Table copied.").wait_for()
    assert "| *noise* | 4.67 |" in tab.evaluate("navigator.clipboard.readText()")
    tab.click("#link")
    tab.get_by_text("Link copied.").wait_for()
    assert tab.evaluate("navigator.clipboard.readText()").endswith("#view=ranks")

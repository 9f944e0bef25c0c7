"""The board's page in a real browser: every control does what it says."""

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

from ssl_bench import aggregators, tasks
from ssl_bench.aggregators import Answer
from ssl_bench.leaderboard import latex, page_data, site, text
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.means import Mean
from ssl_bench.leaderboard.ranking import Board, Row, make_board
from ssl_bench.model_zoo import ModelCard, Published
from ssl_bench.results.standing import Standing
from ssl_bench.results.store import Results
from ssl_bench.tasks import SuiteCard
from tests.leaderboard.browsing import package
from tests.leaderboard.test_site import HOSTILE
from tests.results.factory import make_model, make_record, make_task

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


@pytest.fixture(scope="module")
def small() -> str:
    return site.html(small_board())


@pytest.fixture(scope="module")
def real() -> tuple[Board, str]:
    """The board of the committed records."""
    board = make_board(Results(TOP / "results").records(), tasks.get_suite("small7"))
    return board, site.html(board)


def names(tab: Any, table: int = 0) -> list[str]:
    """Return the models of the rows that are seen, in their order."""
    labels = tab.locator(f"#board-{table} tbody tr:visible .model").all_inner_texts()
    return [label.lower() for label in labels]


def head(tab: Any, name: str, table: int = 0) -> Any:
    """Return a heading's button."""
    return tab.locator(f"#board-{table} .heads button", has_text=re.compile(f"^{name}$"))


def column(tab: Any, name: str, table: int = 0) -> dict[str, str]:
    """Return what a column shows, by model."""
    heads = [said.split()[0] for said in tab.locator(f"#board-{table} .heads th").all_inner_texts() if said]
    script = "(rows, at) => rows.map((row) => tables.textOf(row.cells[at])?.data.trim() ?? '')"
    every = tab.locator(f"#board-{table} .heads th").all_text_contents()
    at = next(i for i, said in enumerate(every) if said.split(",")[0].strip() == name)
    assert heads
    shown = tab.locator(f"#board-{table} tbody tr:visible").evaluate_all(script, at)
    return dict(zip(names(tab, table), shown, strict=True))


def tick(tab: Any, facet: str, value: str) -> None:
    menu = tab.locator(f"[data-facet={facet}]")
    menu.locator("summary").click()
    menu.get_by_label(value, exact=True).click()
    menu.locator("summary").click()


# ---------------------------------------------------------------- order


def test_a_heading_sorts_and_sorts_back(visitor, small):
    """A click on a heading sorts best first, a second one worst first; a missing value is last in both; the heading
    says so, and equal values keep the order that the page was printed with."""
    tab = visitor.open(small)
    assert names(tab) == ["alpha", "beta", "gamma", "noise", "delta"]
    head(tab, "cifar10").click()
    assert names(tab) == ["delta", "alpha", "beta", "gamma", "noise"]
    assert tab.locator("#board-0 [aria-sort]").get_attribute("aria-sort") == "descending"
    head(tab, "cifar10").click()
    assert names(tab) == ["noise", "beta", "gamma", "alpha", "delta"]
    assert tab.locator("#board-0 [aria-sort]").get_attribute("aria-sort") == "ascending"
    head(tab, "dtd").click()
    assert names(tab)[-1] == "delta"
    head(tab, "dtd").click()
    assert names(tab)[-1] == "delta"
    head(tab, "Size").click()
    assert names(tab) == ["delta", "alpha", "noise", "beta", "gamma"]
    assert names(tab, 1) == ["beta", "alpha"] or names(tab, 1) == ["alpha", "beta"]


def test_several_keys_sort(visitor, small):
    """With the shift key a heading becomes the next key; every key is shown with its place and its direction."""
    tab = visitor.open(small)
    head(tab, "cifar10").click()
    head(tab, "cifar100").click(modifiers=["Shift"])
    assert names(tab) == ["delta", "alpha", "beta", "gamma", "noise"]
    head(tab, "cifar100").click(modifiers=["Shift"])
    assert names(tab) == ["delta", "alpha", "gamma", "beta", "noise"]
    keys = tab.locator("#board-0 button[data-key]").evaluate_all("(all) => all.map((one) => one.dataset.key)")
    assert keys == ["↓1", "↑2"]
    assert "key 2, ascending" in tab.locator("#board-0 .heads").inner_text()
    assert "cifar10, then cifar100" in tab.locator("#count").inner_text()


def test_the_keyboard_reaches_everything(visitor, small):
    """The tab key reaches every control in turn, each with a visible mark of focus, and Enter works a heading, with
    the shift key as a further key."""
    tab = visitor.open(small)
    seen: dict[str, str] = {}
    for _ in range(40):
        tab.keyboard.press("Tab")
        said = tab.evaluate(
            "(({id, tagName, textContent}) => [id || tagName + textContent.trim().slice(0, 12),"
            " getComputedStyle(document.activeElement).outlineStyle])(document.activeElement)"
        )
        seen[said[0]] = said[1]
    controls = ["find", "least", "most", "view", "base", "reset", "link", "format", "download", "copy"]
    controls += ["show-intervals", "show-published", "show-controls", "SUMMARYData", "SUMMARYColumns", "BUTTONcifar10"]
    assert set(controls) <= set(seen)
    assert "none" not in {seen[name] for name in controls}
    head(tab, "cifar10").focus()
    tab.keyboard.press("Enter")
    assert names(tab)[0] == "delta"
    head(tab, "cifar100").focus()
    tab.keyboard.press("Shift+Enter")
    assert head(tab, "cifar100").get_attribute("data-key") == "↓2"


# ---------------------------------------------------------------- choice


def test_rows_are_chosen(visitor, small):
    """Text, size, data, licence, check, pooling, division and the switch of controls choose rows; the count says how
    many models are left."""
    tab = visitor.open(small)
    count = tab.locator("#count")
    assert count.inner_text() == "5 of 5 models"
    tab.fill("#find", "apache")
    assert (names(tab), count.inner_text()) == (["beta"], "1 of 5 models")
    tab.fill("#find", "")
    tab.fill("#least", "20")
    tab.fill("#most", "100")
    assert names(tab) == ["alpha", "beta", "noise"]
    tab.uncheck("#show-controls")
    assert names(tab) == ["alpha", "beta"]
    tab.click("#reset")
    assert names(tab) == ["alpha", "beta", "gamma", "noise", "delta"]
    for facet, value, left in [
        ("data", "ImageNet-1k", ["alpha", "beta"]),
        ("data", "CIFAR-10", ["gamma"]),
        ("licence", "not stated", ["noise"]),
        ("level", "re-scored", ["beta"]),
        ("division", "open", ["gamma"]),
    ]:
        tick(tab, facet, value)
        assert names(tab) == left
        tab.click("#reset")
    assert tab.locator("[data-facet=pooling]").count() == 0
    tab.fill("#find", "nobody")
    assert "No row of this table matches" in tab.locator(".more").first.inner_text()


def test_protocols_and_columns_are_chosen(visitor, small):
    """A protocol's table and a group's columns, with their headings, go and come."""
    tab = visitor.open(small)
    tick(tab, "protocol", "logistic_regression")
    assert not tab.locator("#board-0").is_visible()
    assert tab.locator("#board-1").is_visible()
    assert tab.locator("#count").inner_text() == "2 of 5 models"
    tick(tab, "protocol", "logistic_regression")
    tick(tab, "columns", "A")
    shown = tab.locator("#board-0 .heads th:visible").all_inner_texts()
    assert [said.split()[0] for said in shown] == ["Model", "Size", "All", "Clean", "A", "B", "dtd"]
    assert tab.locator("#board-0 .groups th:visible").all_inner_texts() == ["Means", "B"]
    assert tab.locator("#board-0 tbody tr").first.locator("td:visible").count() == 6
    assert tab.locator("[data-facet=columns] summary").get_attribute("data-count") == "1/2"


def test_a_menu_closes(visitor, small):
    """Escape closes an open menu and gives the focus back; a click elsewhere closes it, too."""
    tab = visitor.open(small)
    summary = tab.locator("[data-facet=data] summary")
    summary.click()
    tab.locator("[data-facet=data] input").first.focus()
    tab.keyboard.press("Escape")
    assert tab.locator(".menu[open]").count() == 0
    assert summary.evaluate("(node) => node === document.activeElement")
    summary.click()
    tab.click("h1")
    assert tab.locator(".menu[open]").count() == 0


def test_switches(visitor, small):
    """Intervals and published numbers can be hidden."""
    tab = visitor.open(small)
    for switch, part in (("intervals", "#board-0 td small:not([class])"), ("published", "#board-0 .published")):
        assert tab.locator(part).first.is_visible()
        tab.uncheck(f"#show-{switch}")
        assert not tab.locator(part).first.is_visible()


# ---------------------------------------------------------------- numbers


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


# ---------------------------------------------------------------- the drawer


def test_the_drawer_of_a_number(visitor, small, tmp_path):
    """A number opens its record, Escape closes it and gives the focus back, and the address leads there again."""
    path = tmp_path / "board.html"
    path.write_text(small, encoding="utf-8")
    tab = visitor.open(path)
    number = tab.locator("#board-0 a[data-r]").first
    number.focus()
    tab.keyboard.press("Enter")
    drawer = tab.locator("#drawer")
    assert "ssl-bench run --model alpha" in drawer.inner_text()
    address = tab.evaluate("location.hash")
    assert "record=" in address
    tab.keyboard.press("Escape")
    assert not drawer.is_visible()
    assert number.evaluate("(node) => node === document.activeElement")
    assert "ssl-bench run --model alpha" in visitor.open(path, address).locator("#drawer").inner_text()


def test_the_drawer_of_a_model(visitor, small):
    """A name opens what is known of the row: its values, its entry, how far it was checked; and makes it the base."""
    tab = visitor.open(small)
    tab.locator("#board-0 .model", has_text="Gamma").click()
    said = tab.locator("#drawer").inner_text()
    for part in ("Lab", "its test images", "CIFAR-10", "open", "50.0"):
        assert part in said
    tab.get_by_role("button", name="Show differences to this model").click()
    assert not tab.locator("#drawer").is_visible()
    assert tab.locator("#base").input_value() == "gamma"
    tab.locator("#board-0 .model", has_text="Beta").click()
    assert "the maintainers" in tab.locator("#drawer").inner_text()


# ---------------------------------------------------------------- everyone


def test_without_script(visitor, small):
    """With JavaScript off the values, intervals, means, coverage, marks and chance stand, and no dead control does."""
    tab = visitor.open(small, java_script_enabled=False)
    said = tab.locator("#board-0").inner_text()
    for part in ("90.0", "89.4–90.6", "66.7", "2/3", "chance", "pub. 91.0", "re-scored", "80.0†", "60.0"):
        assert part in said
    assert not tab.locator("#tools").is_visible()
    assert tab.locator("#board-0 tbody tr:visible").count() == 5


VIEWS = {
    "light": ({}, ""),
    "dark": ({"color_scheme": "dark"}, ""),
    "phone": ({"viewport": {"width": 390, "height": 844}}, ""),
    "drawer": ({}, "document.querySelector('#board-0 a[data-r]').click()"),
    "dark drawer": ({"color_scheme": "dark"}, "document.querySelector('#board-0 .model').click()"),
    "menu": ({}, "document.querySelector('[data-facet=licence] summary').click()"),
    "dark differences": ({"color_scheme": "dark"}, "location.hash = 'base=beta&view=normal'"),
}


@pytest.mark.parametrize("view", VIEWS)
def test_no_grave_fault_of_accessibility(visitor, small, view):
    """axe-core finds no serious and no critical fault: light, dark, on a phone, with the drawer or a menu open."""
    axe = package("axe_playwright_python.sync_playwright")
    options, act = VIEWS[view]
    tab = visitor.open(small, **options)
    if act:
        tab.evaluate(act)
    found = axe.Axe().run(tab).response["violations"]
    grave = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
    assert grave == []


def test_a_phone_scrolls_no_page_sideways(visitor, small):
    """At 390 pixels the page is no wider than the screen, with a menu open too, and the table scrolls by itself."""
    tab = visitor.open(small, viewport={"width": 390, "height": 844})
    tab.locator("[data-facet=data] summary").click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert tab.locator(".scroll").first.evaluate("(box) => box.scrollWidth > box.clientWidth")


# ---------------------------------------------------------------- much


@pytest.fixture(scope="module")
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


def test_a_large_table(visitor, large):
    """A large table shows a hundred rows and the first groups of columns; a sort is of all rows; all can be shown."""
    tab = visitor.open(large)
    rows = tab.locator("#board-0 tbody tr:visible")
    assert rows.count() == 100
    assert "100 of 130 rows shown" in tab.locator(".more").inner_text()
    assert tab.locator("#board-0 .groups th:visible").all_inner_texts() == ["Means", "g0", "g1"]
    head(tab, "t000").click()
    tab.wait_for_selector("[aria-busy]", state="detached")
    values = [float(value) for value in column(tab, "t000").values()]
    assert values == sorted(values, reverse=True)
    assert values[0] == 99.0
    tab.get_by_role("button", name="Show all").click()
    tab.wait_for_selector("[aria-busy]", state="detached")
    assert rows.count() == 130
    values = [float(value) for value in column(tab, "t000").values()]
    assert (len(values), values) == (130, sorted(values, reverse=True))


def test_columns_of_a_large_table_stand_under_their_headings(visitor, large):
    """Cells of fixed width stand under their headings, groups above their columns, with and without script; and the
    table is a table to a screen reader."""
    for script in (True, False):
        tab = visitor.open(large, java_script_enabled=script)
        lefts = (
            "(rows) => rows.map((row) => [...row.cells].map((cell) => Math.round(cell.getBoundingClientRect().left)))"
        )
        if script:
            heads, first, last = tab.evaluate(
                f"({lefts})([document.querySelector('.heads'), document.querySelector('#board-0 tbody tr'),"
                " document.querySelector('#board-0 tfoot tr')])"
            )
            assert heads == first == last
            spans = tab.evaluate(f"({lefts})([document.querySelector('.groups')])")[0]
            assert spans[2] == heads[2]
            assert spans[3] == heads[6]
            assert spans[4] == heads[18]
        else:
            assert tab.locator("#board-0 tbody tr").count() == 130
            box = tab.locator("#board-0 .heads th").nth(20).bounding_box()
            cell = tab.locator("#board-0 tbody tr").first.locator("td").nth(19).bounding_box()
            assert box["x"] == cell["x"]
    session = tab.context.new_cdp_session(tab)
    roles = [node.get("role", {}).get("value") for node in session.send("Accessibility.getFullAXTree")["nodes"]]
    assert roles.count("table") + roles.count("grid") == 1
    assert roles.count("row") >= 20
    assert roles.count("columnheader") >= 42

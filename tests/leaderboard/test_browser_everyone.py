"""The board's page in a real browser: without script, on a phone, to a screen reader, and when it is large."""

from __future__ import annotations

import pytest

from tests.leaderboard.boards import column, head
from tests.leaderboard.browsing import package


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

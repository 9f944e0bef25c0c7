"""The board's page in a real browser: order, choice of rows and columns, the drawer."""

from __future__ import annotations

import pytest

from tests.leaderboard import browsing
from tests.leaderboard.boards import head, names, tick


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


# ---------------------------------------------------------------- where no browser is


def test_a_missing_browser_is_named(monkeypatch):
    """Where no browser is, a test is skipped and says so; where one is required, it fails and says what mends it."""
    monkeypatch.setattr(browsing, "REQUIRED", False)
    with pytest.raises(pytest.skip.Exception, match="no_such_package is missing"):
        browsing.package("no_such_package.module")
    monkeypatch.setattr(browsing, "REQUIRED", True)
    with pytest.raises(pytest.fail.Exception, match=r"no_such_package is missing .*\.ci/run"):
        browsing.package("no_such_package.module")

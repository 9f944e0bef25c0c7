"""What the published page promises."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import io
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ssl_bench import pages
from ssl_bench.errors import UsageError
from ssl_bench.leaderboard import latex, page_data, site, text
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.means import Mean
from ssl_bench.leaderboard.ranking import make_board
from ssl_bench.model_zoo import ModelCard, Published
from ssl_bench.results.describe import command, describe
from ssl_bench.results.record import Record
from ssl_bench.results.standing import LEVELS, Standing
from ssl_bench.tasks import SuiteCard
from tests.results.factory import make_grid, make_model, make_record, make_task

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\"'><b>",
    "../../etc",
    "a|b`c`",
    "=HYPERLINK(1)",
    "\x1b[31mred",
    "\u2028",
]


def build(records: Iterable[Record], *words: Any, **options: Any) -> str:
    return site.html(make_board(records, *words, **options))


class Page(HTMLParser):
    """The elements and scripts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.contents: list[tuple[str, dict[str, str | None], str]] = []
        self._open: tuple[str, dict[str, str | None]] | None = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = (tag, dict(attrs)) if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open:
            self.contents.append((*self._open, data))


@pytest.fixture(scope="module")
def page() -> str:
    return build(list(make_grid(models=3, tasks=4)))


def hostile_page() -> str:
    records = [make_record(make_model(name), make_task(name)) for name in HOSTILE]
    suite = SuiteCard("s", HOSTILE[0], {HOSTILE[1]: tuple(HOSTILE)}, ("knn",), note=HOSTILE[2])
    published = Published(0.5, "javascript:alert(1)")
    cards = {name: ModelCard(name, "timm", published={f"{name}/knn": published}) for name in HOSTILE}
    return build(records, suite, cards, skipped=[(name, name) for name in HOSTILE])


def test_deterministic(page):
    """The same records in any order give the same bytes."""
    records = random.Random(3).sample(list(make_grid(models=3, tasks=4)), 24)
    assert build(records) == page


def test_date_only_when_given(page, monkeypatch):
    """The page has a date only where SOURCE_DATE_EPOCH states one."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert "1970-01-02" in build([make_record()])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        build([make_record()])
    assert "1970-01" not in page


def test_policy(page):
    """The page's policy allows its own style and script by their hashes, inline images, and nothing else."""
    parsed = Page(page)
    (policy,) = (a["content"] for _, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy")
    found = {}
    for tag, attributes, content in parsed.contents:
        if attributes.get("type") != "application/json":
            found[tag] = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; script-src 'sha256-{found['script']}'; style-src 'sha256-{found['style']}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("make", [lambda: build(list(make_grid(models=2, tasks=2))), hostile_page])
def test_no_network_and_no_inline_code(make):
    """The page loads nothing, holds no inline handlers or styles, and links by http(s) or inside itself only."""
    parsed = Page(make())
    for tag, attributes in parsed.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "img", "audio", "video")
        assert "src" not in attributes
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if "href" in attributes:
            assert tag == "a"
            assert re.match(r"(#|https?://)", attributes["href"] or "")
    for tag, _, content in parsed.contents:
        if tag == "style":
            assert "url(" not in content
            assert "@import" not in content


def test_hostile_names():
    """Foreign names stay text, in the table and in the data."""
    page = hostile_page()
    assert "alert(1)</script>" not in page
    assert "<img" not in page
    assert len([1 for tag, _ in Page(page).elements if tag == "script"]) == 2
    data = next(c for tag, a, c in Page(page).contents if a.get("type") == "application/json")
    assert not set(data) & set("<>&\u2028")
    names = {block["name"] for block in json.loads(data)["pool"] if "weights_digest" in block}
    assert names == set(HOSTILE)


def test_data_is_whole(page):
    """The drawer's data gives every record back as it was written, with its command."""
    data = json.loads(next(c for _, a, c in Page(page).contents if a.get("type") == "application/json"))
    records = {record.record_id: record for record in make_grid(models=3, tasks=4)}
    assert len(data["records"]) == len(records)
    for body in data["records"]:
        for key in page_data.POOLED_KEYS:
            body[key] = data["pool"][body[key]]
        body["protocol"]["recipe"] = data["pool"][body["protocol"]["recipe"]]
        record = records[body["record_id"]]
        assert body == record.to_json() | {"command": command(record)}


def test_table_without_script():
    """Values, intervals, seeds, coverage, published numbers and chance stand in the page itself."""
    records = [make_record(value=value, seed=i) for i, value in enumerate((0.7, 0.8))]
    card = ModelCard("dinov2_vits14", "timm", published={"cifar10/knn": Published(0.951, "https://example.org/paper")})
    suite = SuiteCard("s", "S", {"A": ("cifar10", "dtd")}, ("knn",))
    page = build(records, suite, {"dinov2_vits14": card})
    for part in (">75.0", "74.1–75.8", "2 seeds ±7.1", ">1/2<", "pub. 95.1", 'href="https://example.org/paper"'):
        assert part in page
    assert 'aria-sort="descending"' in page
    assert "No records yet: dtd" in page
    assert ">chance<" in page


def test_skipped_section():
    """What was left out is listed with its reason."""
    page = build([make_record()], skipped=[("x.json", "is not whole JSON")])
    assert "<b>x.json</b> is not whole JSON" in page


def test_empty():
    """A page of no records says so."""
    assert "no records to show yet" in build([])


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.org/a?b=c", True),
        ("http://example.org", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.org", False),
        ("https://a b", False),
        ("authors' README", False),
    ],
)
def test_links(url, kept):
    """Only plain http and https become links."""
    assert pages.link(url) == (url if kept else "")


def test_markdown():
    """Markdown has the page's columns, bold and coverage, and foreign names cannot leave their cell."""
    suite = SuiteCard("s", "S", {"A": ("cifar10", "dtd")}, ("knn",))
    board = text.markdown(make_board([make_record("a", value=0.9), make_record("b", "dtd", value=0.5)], suite))
    assert "| a | — 1/2 | **90.0** | — |" in board
    hostile = text.markdown(make_board([make_record(make_model(name)) for name in HOSTILE]))
    rows = [line for line in hostile.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert "<" not in hostile
    assert "\x1b" not in hostile


def test_csv():
    """CSV keeps full precision, leaves gaps empty and holds no formulas."""
    records = [make_record(make_model(name), value=0.1234) for name in (*HOSTILE, "plain")]
    rows = list(csv.DictReader(io.StringIO(text.csv_text(make_board(records)))))
    assert {row["cifar10"] for row in rows} == {"0.1234"}
    assert {row["model"] for row in rows} == {*HOSTILE, "plain"} - {"=HYPERLINK(1)"} | {"'=HYPERLINK(1)"}


def test_declared_contamination():
    """A contaminated number is marked in every form, and the mean of the others stands in a column of its own; without
    a declaration there is no such column."""
    suite = SuiteCard("s", "S", {"A": ("cifar10", "dtd")}, ("knn",))
    board = make_board([make_record("a", task, value=value) for task, value in (("cifar10", 0.9), ("dtd", 0.5))], suite)
    (table,) = board.tables
    (row,) = table.rows
    assert "lean" not in text.markdown(board) + latex.latex(board)
    assert ">Clean<" not in site.html(board)
    cells = (dataclasses.replace(row.cells[0], contaminated="<its test images>"), row.cells[1])
    seen = dataclasses.replace(row, cells=cells, clean=Mean(0.5, 1, 1))
    board = dataclasses.replace(board, tables=(dataclasses.replace(table, rows=(seen,)),))
    assert "| model | mean | clean mean | cifar10 | dtd |" in text.markdown(board)
    assert "| a | 70.0 | 50.0 | **90.0**† | **50.0** |" in text.markdown(board)
    assert "†: the entry declares" in text.markdown(board)
    assert r"a & 70.0 & 50.0 & \textbf{90.0}\,$\dagger$ & \textbf{50.0} \\" in latex.latex(board)
    (line,) = csv.DictReader(io.StringIO(text.csv_text(board)))
    assert (line["clean mean"], line["checked"], line["division"]) == ("0.5", "self-reported", "")
    page = site.html(board)
    assert ">Clean<" in page
    assert 'title="declared: &lt;its test images&gt;">†' in page


def test_badges():
    """Beside every name stands how far its numbers were checked, and the division of an entry."""
    board = make_board([make_record("a")])
    (row,) = board.tables[0].rows
    for level in LEVELS:
        for entry in (None, Entry("a", "Lab", "a@b.c", "MIT", "private", "0" * 64, ("x",), False, "open")):
            changed = dataclasses.replace(row, standing=Standing(level), entry=entry)
            table = dataclasses.replace(board.tables[0], rows=(changed,))
            page = site.html(dataclasses.replace(board, tables=(table,)))
            assert f'<span class="badge {level}">{level}</span>' in page
            assert ('<span class="badge open">open</span>' in page) == (entry is not None)


def test_describe():
    """A record in words gives number, interval, cause and command, and no character that steers a terminal."""
    record = make_record(make_model("timm:vit,size=96"), protocol="logistic_regression", seed=2)
    words = describe(record)
    for part in ("75.0 [74.1, 75.8]", record.record_id, '"C":1.0', "--model timm:vit,size=96", "--seeds 2"):
        assert part in words
    assert "\x1b" not in describe(make_record(make_model("\x1b[31mred")))


def test_command():
    """The command writes the recipe out, so that a later default cannot change the question."""
    assert command(make_record("a b")) == (
        "ssl-bench run --model 'a b' --task cifar10 --protocol knn,k=20,temperature=0.07"
    )
    assert "logistic_regression,C=0.01+0.1+1.0+10.0+100.0,max_iter=1000" in command(
        make_record(protocol="logistic_regression")
    )


def test_light_imports():
    """Reading, ranking and describing load no torch, pandas, pyarrow or jinja2."""
    code = (
        "import sys, ssl_bench.leaderboard.site, ssl_bench.results.store, ssl_bench.results.describe;"
        "print(sorted({'torch', 'pandas', 'pyarrow', 'jinja2', 'timm'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

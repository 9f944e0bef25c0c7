"""Reports: Markdown, JUnit, GitHub, JSON and the page, under hostile names too."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import ssl_bench
from ssl_bench.comparison import Comparison, examine, github, sources, words
from ssl_bench.comparison.junit import junit
from ssl_bench.comparison.margins import Policy
from ssl_bench.comparison.markdown import MARKER, markdown
from ssl_bench.comparison.matching import Mismatch
from ssl_bench.comparison.page import html as page
from ssl_bench.comparison.testing import Flip
from tests.comparison.factory import STOCHASTIC, answers, flipped, put_classes

HOSTILE = "<script>alert(1)</script>|`x`\n::error::@all %0A"


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    """A regression, an improvement, a task that cannot tell, one of too few seeds, and one that holds."""
    base, cand = tmp_path / "base", tmp_path / "cand"
    for task, n, losses, wins in (
        ("svhn", 5_000, 150, 20),
        ("pets", 5_000, 20, 150),
        ("dtd", 300, 12, 9),
        ("cifar10", 20_000, 12, 9),
    ):
        pred = answers(task, n)
        put_classes(base, task, pred)
        put_classes(cand, task, flipped(task, pred, losses, wins), environment={"device": "NVIDIA H200"})
    pred = answers("cars", 1_000)
    put_classes(base, "cars", pred, protocol=STOCHASTIC)
    put_classes(cand, "cars", flipped("cars", pred, 30, 10), protocol=STOCHASTIC)
    return ssl_bench.compare(base, cand)


@pytest.fixture
def hostile(found: Comparison) -> Comparison:
    """The same with names that strangers chose."""
    flip = Flip(HOSTILE, 1, 1, 2, 0)
    tasks = [
        dataclasses.replace(one, task=HOSTILE, model=HOSTILE, protocol=HOSTILE, notes=(HOSTILE,), flips=(flip,) * 30)
        for one in found.tasks
    ]
    return dataclasses.replace(found, tasks=tuple(tasks), base=HOSTILE, surroundings=(HOSTILE,), notes=(HOSTILE,))


def refusal() -> Comparison:
    wrong = Mismatch("m · t · knn", "recipe.k", "20", HOSTILE)
    return Comparison("a", "b", "vtab", "code", 0.05, mismatches=(wrong,))


def test_markdown(found: Comparison) -> None:
    """The comment begins with its marker, leads with what regressed, and folds what is non-inferior."""
    text = markdown(found)
    assert text.startswith(f"{MARKER}\n### ssl-bench: dinov2\\_vits14 · 2 protocols · 5 tasks — ❌ 1 regressed")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[1].startswith("| svhn · knn | 5,000 |")
    assert re.search(r"\| −2\.60 \[−3\.\d\d, −2\.\d\d\] \| 150/20 \| \de-\d+ \| \*\*regressed\*\* \|$", rows[1])
    assert "inconclusive (1 of 3 seeds)" in text
    assert "inconclusive (detectable ≥ 4." in text
    folded = text[text.index("<details><summary>2 non-inferior") :] if "2 non-inferior" in text else text
    assert "cifar10 · knn" in folded
    assert 'environment.device: "NVIDIA H100" → "NVIDIA H200"' in text
    assert text.count("<details") == text.count("</details>")


def test_notes_that_rows_share(tmp_path: Path) -> None:
    """A note of many rows is told once, with how many they are; of few, with their names. Many inconclusive rows are
    folded, and the legend tells the margins."""
    for task in (f"t{number}" for number in range(12)):
        pred = answers(task, 200)
        put_classes(tmp_path / "base", task, pred)
        put_classes(tmp_path / "cand", task, flipped(task, pred, 9, 5))
    sides = [sources.get(tmp_path / name) for name in ("base", "cand")]
    bare = [dataclasses.replace(side, stores=()) for side in sides]
    found = examine(bare[0], bare[1], Policy())
    (note,) = words.plain_lines(found)
    assert note.startswith("note: all 12 rows: per-sample predictions are not at hand")
    assert "<details><summary>13 inconclusive</summary>" in markdown(found)
    assert "the margin, 0.30 pt of a task and 0.20 pt of a mean;" in markdown(found)
    few = dataclasses.replace(found, tasks=(found.tasks[0], *(dataclasses.replace(found.tasks[1], notes=()),)))
    assert words.plain_lines(few)[0].startswith("note: t0 · knn: per-sample")
    assert "<details><summary>" not in markdown(dataclasses.replace(few, suites=())).partition("<sub>")[0]


def test_markdown_stays_below_githubs_limit(hostile: Comparison) -> None:
    """However many tasks and samples there are, the comment stays below 65,536 characters, whole lines and all."""
    many = dataclasses.replace(hostile, tasks=hostile.tasks * 200)
    text = markdown(many)
    assert len(text) < 65_536
    assert len(text.encode()) < 262_144
    assert text.startswith(MARKER)
    assert "cut here" in text


def test_markdown_of_hostile_names(hostile: Comparison) -> None:
    """No name becomes markup, leaves its cell, or mentions anybody."""
    for text in (markdown(hostile), markdown(refusal())):
        assert "<script" not in text
        assert "@all" not in text
        rows = [line for line in text.splitlines() if line.startswith("| ") and "alert" in line]
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
        assert widths <= {9, 6, 5}


def test_junit(found: Comparison, hostile: Comparison) -> None:
    """A regression is a failure, what cannot be told is skipped or, where that shall fail, a failure, a refusal an
    error."""
    root = ElementTree.fromstring(junit(found))
    assert root.attrib["failures"] == "1"
    assert root.attrib["tests"] == str(len(found.results))
    (failed,) = [case for case in root if case.find("failure") is not None]
    assert failed.attrib["name"] == "svhn · knn"
    assert int(root.attrib["skipped"]) == sum(one.verdict == "inconclusive" for one in found.results)
    strict = ElementTree.fromstring(junit(dataclasses.replace(found, on_inconclusive="fail")))
    assert strict.attrib["skipped"] == "0"
    assert int(strict.attrib["failures"]) == 1 + int(root.attrib["skipped"])
    assert ElementTree.fromstring(junit(refusal())).attrib["errors"] == "1"
    assert ElementTree.fromstring(junit(hostile)).attrib["tests"] == str(len(hostile.results))


def test_github(found: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error per regression and a warning per task that cannot tell; summary and outputs go to the files named."""
    lines = list(github.commands(found))
    assert lines[0].startswith("::error title=svhn · knn regressed::dinov2_vits14: −2.60 [")
    assert sum(line.startswith("::warning") for line in lines) >= 3
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        (tmp_path / name).write_text("before\n")
        monkeypatch.setenv(name, str(tmp_path / name))
    github.write(found)
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text().startswith(f"before\n{MARKER}")
    outputs = dict(line.split("=") for line in (tmp_path / "GITHUB_OUTPUT").read_text().splitlines()[1:])
    assert outputs["verdict"] == "regressed"
    assert outputs["exit-code"] == "1"
    assert outputs["regressed"] == "1"


def test_github_of_hostile_names(hostile: Comparison) -> None:
    """No name ends its annotation or begins another one."""
    for line in (*github.commands(hostile), *github.commands(refusal())):
        assert "\n" not in line
        assert line.count("::") - line.split("::", 2)[2].count("::") == 2
        assert "%0A::error::@all %250A" in line or "alert" not in line or "%0A%3A%3Aerror" in line


def test_json(found: Comparison) -> None:
    """The JSON holds verdict, exit code and every task with its numbers, and no number that JSON does not know."""
    body = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert (body["schema"], body["verdict"], body["exit_code"]) == ("ssl-bench.comparison/1", "regressed", 1)
    task = next(one for one in body["tasks"] if one["task"] == "svhn")
    assert (task["losses"], task["wins"], task["n"], task["verdict"]) == (150, 20, 5_000, "regressed")
    assert task["delta"] == pytest.approx(-0.026)


def test_frame(found: Comparison) -> None:
    """The data frame has a row per task, with values as in the records."""
    frame = found.frame().set_index("task")
    assert frame.loc["svhn", "verdict"] == "regressed"
    assert frame.loc["svhn", "delta"] == pytest.approx(-0.026)
    assert len(frame) == 5


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_is_self_contained(found: Comparison, hostile: Comparison) -> None:
    """The page holds no script, loads nothing, styles nothing but by its own hashed sheet, and escapes every name."""
    for one in (found, hostile, refusal()):
        text = page(one)
        reader = _Tags()
        reader.feed(text)
        assert not {"script", "link", "iframe", "object", "img", "base"} & {tag for tag, _ in reader.tags}
        assert not any("style" in given or "src" in given or "onload" in given for _, given in reader.tags)
        policy = next(g["content"] for t, g in reader.tags if t == "meta" and "http-equiv" in g)
        style = text[text.index("<style>") + 7 : text.index("</style>")]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert policy is not None
        assert policy.startswith("default-src 'none'; ")
        assert f"style-src 'sha256-{digest}'" in policy


def test_the_page_shows_flips(found: Comparison) -> None:
    """Flipped samples are named with label and both answers, in words where there are some, lost ones first; a picture
    stands in the page where one is given."""
    names = {"svhn": [f"digit {i}" for i in range(10)]}
    text = page(found, names, lambda one, flip: "data:image/png;base64,AAAA" if one.task == "svhn" else "")
    svhn = text[text.index("svhn · linear") if "svhn · linear" in text else text.index("<h2>svhn") :]
    first = svhn[svhn.index("<li") : svhn.index("</li>")]
    assert 'class="lost"' in first
    assert '<img src="data:image/png;base64,AAAA" alt="">' in first
    assert "is digit" in first
    assert text.count("<img") == 60
    assert "170 of 5,000 answers changed: 150 lost, 20 won. The first 60, lost ones first:" in text


def test_policies(tmp_path: Path) -> None:
    """Inconclusive exits with 0, and with 4 where that shall fail; what cannot be compared exits with 5."""
    base, cand = tmp_path / "base", tmp_path / "cand"
    pred = answers("dtd", 300)
    put_classes(base, "dtd", pred)
    put_classes(cand, "dtd", flipped("dtd", pred, 12, 9))
    sides = sources.get(base), sources.get(cand)
    assert examine(*sides, Policy()).exit_code == 0
    assert examine(*sides, Policy(on_inconclusive="fail")).exit_code == 4
    assert refusal().exit_code == 5

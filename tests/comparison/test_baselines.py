"""Named baselines, margins from files, and what is harmless."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import ssl_bench
from ssl_bench.comparison import baselines, calibration, sources
from ssl_bench.comparison.margins import Margin, policy
from ssl_bench.errors import UsageError
from ssl_bench.results.store import Results
from ssl_bench.settings import resolve
from tests.comparison.factory import answers, flipped, put_classes


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two folders of records in a working folder of their own."""
    monkeypatch.chdir(tmp_path)
    pred = answers("dtd", 400)
    put_classes(Path("base"), "dtd", pred)
    put_classes(Path("cand"), "dtd", flipped("dtd", pred, 9, 3))
    return Path("base"), Path("cand")


def test_a_baseline_moves_on_purpose_alone(sides: tuple[Path, Path]) -> None:
    """A baseline keeps records and predictions; the same records change nothing, others ask for a reason, kept too."""
    base, cand = map(sources.get, sides)
    first = baselines.put("main", base, reason="first")
    assert (first.now.records, first.now.samples) == (1, 1)
    assert ssl_bench.compare("baseline:main", sides[1]).tasks[0].losses == 9
    before = Path("baselines/main/baseline.json").read_bytes()
    assert baselines.put("main", base) == first
    with pytest.raises(UsageError, match='To replace it, say why: --reason "…"'):
        baselines.put("main", cand)
    assert Path("baselines/main/baseline.json").read_bytes() == before
    second = baselines.put("main", cand, reason="accepted: faster decoder")
    assert second.history == (first.now,)
    assert baselines.load("main") == second
    assert [one.headline for one in sources.get("baseline:main").records] == [one.headline for one in cand.records]
    assert not list(Path("baselines").glob(".*"))


@pytest.mark.parametrize("name", ["../main", "Main", "", "a/b", "-x"])
def test_names_of_baselines(name: str, sides: tuple[Path, Path]) -> None:
    """A baseline's name is a plain file name."""
    with pytest.raises(UsageError, match="cannot be called"):
        baselines.put(name, sources.get(sides[0]))


def test_push_and_pull_by_folder(sides: tuple[Path, Path]) -> None:
    """A baseline that is pushed to a shared folder and pulled elsewhere is the same, history included."""
    for side in sides:
        baselines.put("main", sources.get(side), reason=side.name)
    pushed = baselines.push("main", "shared")
    assert baselines.pull("main", "shared", Path("elsewhere")) == pushed == baselines.load("main")
    assert len(pushed.history) == 1
    assert ssl_bench.compare(sources.get("baseline:main", Path("elsewhere")).records, Results(sides[1])).exit_code == 0


def test_push_and_pull_by_branch(sides: tuple[Path, Path]) -> None:
    """A baseline is committed to a branch that is not checked out, whose other files stay, and pulled from there."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout

    git("init", "-q", "-b", "main")
    git("config", "user.name", "a")
    git("config", "user.email", "a@b.c")
    Path("code.py").write_text("1\n")
    git("add", "code.py")
    git("commit", "-q", "-m", "code")
    git("branch", "records")
    baselines.put("main", sources.get(sides[0]), reason="first")
    baselines.push("main", "git:records")
    baselines.put("main", sources.get(sides[1]), reason="second")
    pushed = baselines.push("main", "git:records")
    assert git("log", "--format=%s", "records").splitlines() == [
        "Baseline main: second",
        "Baseline main: first",
        "code",
    ]
    names = git("ls-tree", "-r", "--name-only", "records").splitlines()
    assert "code.py" in names
    assert sum(name.endswith(".parquet") for name in names) == 1
    assert git("status", "--porcelain", "--untracked-files=no") == ""
    assert git("ls-files").splitlines() == ["code.py"]
    assert baselines.pull("main", "git:records", Path("pulled")) == pushed
    assert ssl_bench.compare("git:records~1:baselines/main", sides[1]).tasks[0].losses == 9
    baselines.push("main", "git:fresh")
    assert "Baseline main: second" in git("log", "--format=%s", "fresh")


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1}'])
def test_broken_baseline_files(text: str, sides: tuple[Path, Path]) -> None:
    """A baseline file that is not ours is one clear line that names it."""
    baselines.put("main", sources.get(sides[0]))
    Path("baselines/main/baseline.json").write_text(text)
    with pytest.raises(UsageError, match=r"baseline\.json"):
        baselines.load("main")


def test_margins_come_from_flags_then_the_file(tmp_path: Path) -> None:
    """A flag wins over the task's margin, that over the suite's, and that over all suites'."""
    file = tmp_path / "ssl-bench.toml"
    file.write_text(
        '[compare]\nmargin = "0.5pt"\non_inconclusive = "fail"\n[compare.vtab]\nmargin = "0.4pt"\nalpha = 0.01\n'
        '[compare.vtab.tasks.svhn]\nmargin = "1pt"\n'
    )
    found = policy("vtab", path=file)
    assert (found.of("svhn"), found.of("dtd")) == (Margin(1.0, True), Margin(0.4, True))
    assert (found.alpha, found.on_inconclusive, found.suite_margin) == (0.01, "fail", Margin(0.2, True))
    assert policy("", path=file).margin == Margin(0.5, True)
    assert policy("other", path=file).margin == Margin(0.5, True)
    assert policy("vtab", {"margin": "0.1pt", "alpha": None}, path=file).of("svhn") == Margin(0.1, True)
    assert policy(path=tmp_path / "none.toml").margin == Margin(0.3, True)


def test_a_margin_in_its_unit() -> None:
    """Points are of percent for a fraction, and percent of base's value elsewhere; a bare number is in the unit."""
    assert Margin(0.3, True).of(0.8, "fraction") == pytest.approx(0.003)
    assert Margin(0.3, True).of(200.0, "dimensions") == pytest.approx(0.6)
    assert Margin(0.004, False).of(0.8, "fraction") == 0.004


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[compare]\nmargn = "1pt"', "unknown key 'margn'.*Did you mean margin"),
        ('[compare]\nmargin = "much"', "compare.margin is 'much'"),
        ("[compare]\nalpha = 2.0", "alpha must be between 0 and 1"),
        ('[compare]\non_inconclusive = "cry"', '"warn" or "fail"'),
        ("compare = 3", "must be a table"),
        ("[compare.vtab.tasks.svhn]\nmargin = -1", "svhn is -1"),
    ],
)
def test_wrong_settings(text: str, says: str, tmp_path: Path) -> None:
    """A wrong key or value is one line that names the file and the key."""
    (tmp_path / "ssl-bench.toml").write_text(text)
    with pytest.raises(UsageError, match=says):
        policy("vtab", path=tmp_path / "ssl-bench.toml")


def test_other_settings_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table `compare` stands in the file of all other settings."""
    monkeypatch.chdir(tmp_path)
    Path("ssl-bench.toml").write_text('results = "mine"\n[compare]\nmargin = "1pt"\n')
    assert resolve().settings.results == Path("mine")


def test_what_is_harmless(sides: tuple[Path, Path]) -> None:
    """What repetitions of base differ by is kept by weights and question, and told of later comparisons of the same."""
    base = sources.get(sides[0])
    runs = [ssl_bench.compare(*sides), ssl_bench.compare(sides[0], sides[0])]
    kept = calibration.measure(runs, base.records)
    (one,) = kept.values()
    assert (one.runs, one.flipped, one.delta) == (2, 12 / 400, pytest.approx(6 / 400))
    path = calibration.keep(kept)
    assert json.loads(path.read_text()).keys() == kept.keys()
    said = calibration.said(calibration.read(), base.records)
    assert said.startswith("2 runs of one commit changed at most 3.00 % of a task's answers")
    assert calibration.said({}, base.records) == ""
    path.write_text("[1]")
    with pytest.raises(UsageError, match="is no calibration"):
        calibration.read()

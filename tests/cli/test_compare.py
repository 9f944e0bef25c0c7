"""`compare`, `power` and `baseline` as a user meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ssl_bench
from tests.cli.conftest import Command, lines
from tests.comparison.factory import answers, flipped, put_classes
from tests.test_floors import HEAVY


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders of records: svhn regressed, dtd did not."""
    base, cand = tmp_path / "base", tmp_path / "cand"
    for task, losses, wins in (("svhn", 150, 20), ("dtd", 4, 4)):
        pred = answers(task, 8_000)
        put_classes(base, task, pred)
        put_classes(cand, task, flipped(task, pred, losses, wins))
    return base, cand


def test_the_table(command: Command, sides: tuple[Path, Path]) -> None:
    """The table has a line per task and one for the mean; the exit code is the verdict, the last line says it."""
    said = command("compare", *sides)
    assert said.code == 1
    rows = {row[1]: row for row in lines(said.out)}
    assert rows["svhn"][3:6] == ["8,000", "80.05", "78.43"] or rows["svhn"][3] == "8,000"
    assert rows["svhn"][7:10:2] == ["150/20", "regressed"]
    assert rows["dtd"][9] == "non-inferior"
    assert rows["mean of 2"][9] == "regressed"
    assert said.err.splitlines()[-1].startswith("regressed: 1 regressed, 1 non-inferior; mean −0.81 [")


def test_ranges_and_choices(command: Command, sides: tuple[Path, Path]) -> None:
    """BASE..CAND is BASE CAND; a task, a margin and a level can be chosen."""
    assert command("compare", "base..cand").code == 1
    assert command("compare", "base..cand", "--task", "dtd", "--strict").code == 0
    assert command("compare", "base", "cand", "-t", "svhn", "--margin", "3pt").code == 0
    assert command("compare", "./base", "../" + Path.cwd().name + "/cand", "-t", "svhn", "--margin", "0.05").code == 0


def test_strict(command: Command, tmp_path: Path) -> None:
    """A verdict that the data cannot give exits with 0, with 4 under --strict, and with 4 where the settings say so."""
    pred = answers("few", 200)
    put_classes(tmp_path / "base", "few", pred)
    put_classes(tmp_path / "cand", "few", flipped("few", pred, 9, 5))
    assert command("compare", "base", "cand").code == 0
    assert command("compare", "base", "cand", "--strict").code == 4
    Path("ssl-bench.toml").write_text('[compare]\non_inconclusive = "fail"\n')
    assert command("compare", "base", "cand").code == 4


def test_every_report(command: Command, sides: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each report goes to its file, JSON to stdout, annotations then to stderr; all say the same."""
    monkeypatch.setenv("GITHUB_OUTPUT", "outputs")
    said = command(
        "compare",
        *sides,
        "--json",
        "--github",
        "--md",
        "c.md",
        "--junit",
        "j.xml",
        "--html",
        "p.html",
        "--samples",
        "3",
    )
    body = json.loads(said.out)
    assert body["verdict"] == "regressed"
    assert {one["task"]: one["verdict"] for one in body["tasks"]} == {"svhn": "regressed", "dtd": "non-inferior"}
    assert "::error title=svhn · knn regressed::" in said.err
    assert "**regressed**" in Path("c.md").read_text()
    assert Path("c.md").read_text().count("| svhn · knn | svhn/") == 3
    assert 'failures="2"' in Path("j.xml").read_text()
    assert '<h1 class="regressed">' in Path("p.html").read_text()
    assert "verdict=regressed\n" in Path("outputs").read_text()


def test_a_refusal(command: Command, sides: tuple[Path, Path]) -> None:
    """Sides that answer different questions exit with 5, every field on stderr; the reports say it too."""
    put_classes(sides[0], "cars", answers("cars", 300))
    put_classes(sides[1], "cars", answers("cars", 200), version=2)
    said = command("compare", *sides, "--md", "c.md", "--junit", "j.xml", "--html", "p.html", "--github")
    assert said.code == 5
    assert "error: dinov2_vits14 · cars · knn: task.samples.test: 300 ≠ 200" in said.err
    assert "::error title=incomparable::" in said.out
    for name in ("c.md", "j.xml", "p.html"):
        assert "task.samples.test" in Path(name).read_text().replace("\\_", "_")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["base"], "Name two sides"),
        (["a", "b", "c"], "Name two sides"),
        (["base", "nowhere"], "'nowhere' is no folder and no packed file"),
        (["base", "cand", "--margin", "few"], "a margin is written as"),
        (["base", "cand", "--suite", "vtabb"], "no suite card is called 'vtabb'"),
        (["base", "cand", "-m", "a", "-m", "b", "-m", "c"], "two models can be compared, not 3"),
        (["base", "cand", "-t", "svhm"], "base holds no record of svhm"),
    ],
)
def test_wrong_words(words: list[str], says: str, command: Command, sides: tuple[Path, Path]) -> None:
    """A wrong word is one line and exit code 2."""
    said = command("compare", *words)
    assert said.code == 2
    assert says in said.err


def test_baselines(command: Command, sides: tuple[Path, Path]) -> None:
    """A baseline is set, shown, pushed, pulled and compared with; another one in its place asks for a reason."""
    assert command("baseline", "show").code == 0
    assert command("baseline", "set", "main", "base").out.split("\t")[1:] == ["2 records", "2 with samples\n"]
    assert command("compare", "baseline:main", "cand").code == 1
    assert command("baseline", "set", "main", "cand").code == 2
    assert command("baseline", "set", "main", "cand", "--reason", "agreed").code == 0
    assert command("compare", "baseline:main..cand").code == 0
    shown = command("baseline", "show", "main").out
    assert "agreed" in shown
    assert "no reason given" in shown
    assert command("baseline", "push", "main", "--to", "shared").code == 0
    assert command("baseline", "pull", "main", "--from", "shared", "--baselines", "mine").code == 0
    assert command("compare", "baseline:main", "cand", "--baselines", "mine").code == 0
    assert json.loads(command("baseline", "show", "--json").out)[0]["now"]["reason"] == "agreed"
    assert command("baseline", "show", "other").code == 2


def test_power(command: Command, sides: tuple[Path, Path]) -> None:
    """`power` reads test sets' sizes from records; 8000 samples of which 3 % differ show 0.5 points 74 times in 100
    alone, and a task without records needs -n."""
    said = command("power", "--results", "base", "--effect", "0.5pt")
    rows = {row[0]: row for row in lines(said.out)}
    assert rows["svhn"][1] == "8,000"
    assert "mean over 2 tasks: detectable from 0.38 pt" in said.err
    body = json.loads(command("power", "--results", "base", "--json").out)
    assert body["tasks"][0]["detectable"] > body["tasks"][0]["detectable_alone"]
    assert command("power", "--suite", "quick").code == 2
    assert command("power", "--suite", "quick", "-n", "1000").code == 0
    for wrong in (["--effect", "0pt"], ["--alpha", "1"], ["--target", "0"], ["--discordance", "nan"]):
        assert command("power", "--results", "base", *wrong).code == 2


def test_calibration_and_pictures(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeated run of one commit on real digits changes nothing; the page of two models shows flipped digits."""
    assert (
        command("run", "-m", "pixels,size=8,channels=grey", "-m", "digits_vit", "-t", "digits", "-p", "knn").code == 0
    )
    results = os.environ["SSL_BENCH_RESULTS"]
    models = ("-m", "digits_vit", "-m", "pixels,size=8,channels=grey")
    said = command("compare", results, *models, "--html", "p.html", "--images")
    assert said.code == 0
    assert "images of digits are in the page; licence: CC BY 4.0" in said.err
    assert Path("p.html").read_text().count('<img src="data:image/png;base64,') == 5
    monkeypatch.setenv("PYTHONPATH", str(Path(ssl_bench.__file__).parent.parent))
    said = command("compare", results, "--calibrate", "1")
    assert said.code == 0, said.err
    assert "1 runs of one commit changed at most 0.00 %" in said.err
    assert "A/A: 1 runs of one commit" in command("compare", results, results).err


def test_compare_loads_neither_torch_nor_scipy(sides: tuple[Path, Path], tmp_path: Path) -> None:
    """A comparison with every report loads nothing heavy but pyarrow, which reads the predictions."""
    words = ["compare", *map(str, sides), "--md", "c.md", "--junit", "j.xml", "--html", "p.html"]
    code = (
        "import sys\nfrom ssl_bench import cli\n"
        f"sys.argv = ['ssl-bench', *{words!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert end.code == 1, end.code\n"
        f"print('LOADED', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    environment = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(Path(ssl_bench.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert "LOADED ['pyarrow']" in done.stdout, done.stdout[-500:] + done.stderr

"""The README tells the truth: its commands run, its tree stands, its figures are those of the committed records."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from pyarrow import parquet

import ssl_bench
from ssl_bench.results.store import Results
from tests import scenes
from tests.cli.conftest import Command, command
from tests.cli.test_run import images

__all__ = ["command"]
TOP = Path(ssl_bench.__file__).parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8") if (TOP / "README.md").is_file() else ""


def commands(text: str) -> list[list[str]]:
    """Return the words of every `ssl-bench` line of a text's bash blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    found = (line for block in blocks for line in block.splitlines() if line.startswith("ssl-bench "))
    return [shlex.split(line, comments=True) for line in found]


def test_every_command_of_the_readme_runs(command: Command, tmp_path: Path) -> None:
    """The commands of the README run one after another, as a newcomer types them, and each exits with 0."""
    images(tmp_path / "flowers", per_class=30)
    assert len(commands(README)) >= 10
    protocol = TOP / "ssl_bench" / "protocols" / "nearest_mean.py"
    assert not protocol.exists()
    try:
        for words in commands(README):
            said = command(*words[1:])
            assert said.code == 0, (words, said.err)
    finally:
        protocol.unlink(missing_ok=True)


@pytest.mark.parametrize(("page", "least"), [("records.md", 10), ("board.md", 5), ("running_on_clusters.md", 6)])
def test_every_command_of_the_docs_runs(command: Command, page: str, least: int) -> None:
    """The commands of a page of `docs/` run one after another, and each exits with 0."""
    found = commands((TOP / "docs" / page).read_text(encoding="utf-8"))
    assert len(found) >= least
    for words in found:
        said = command(*words[1:])
        assert said.code == 0, (words, said.err)


def test_the_python_example_of_the_readme_runs(command: Command) -> None:
    """The Python example of the README runs, and prints a number between chance and one."""
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)  # noqa: S102 - our own README
    outcome = names["outcome"]
    assert isinstance(outcome, ssl_bench.outcome.Outcome)  # type: ignore[attr-defined]
    assert 0.1 < outcome.written[0].metrics["top1"].value <= 1


def test_every_command_about_fine_tuning_runs(command: Command) -> None:
    """The commands of `docs/fine_tuning.md` run one after another, and each exits with 0."""
    found = commands((TOP / "docs" / "fine_tuning.md").read_text(encoding="utf-8"))
    assert len(found) == 3
    for words in found:
        said = command(*words[1:])
        assert said.code == 0, (words, said.err)


def test_every_command_about_a_folder_of_masks_runs(command: Command, tmp_path: Path) -> None:
    """The commands of `docs/dense.md` about a user's own folder run one after another, and each exits with 0."""
    scenes.write(tmp_path / "scenes")
    (tmp_path / "scenes" / "classes.txt").write_text("sky\nground\nbox\n")
    found = commands((TOP / "docs" / "dense.md").read_text(encoding="utf-8"))
    found = [words for words in found if "./scenes" in words]
    assert len(found) == 5
    for words in found:
        said = command(*words[1:])
        assert said.code == 0, (words, said.err)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"[\w./]+(?:/|\.py|\.md)(?=[\s`);,:])", README))))
def test_every_place_that_the_readme_names_is_there(name: str) -> None:
    """Folders and files that the README names exist, at the top or inside the package."""
    if name.startswith(("./", "demo/", "flowers/", "http", "/")) or name in ("tasks/flowers", "model_zoo/my_resnet"):
        return
    assert any((start / name).exists() for start in (TOP, TOP / "ssl_bench", TOP / "ssl_bench" / "protocols")), name


def test_the_demo_table_is_what_the_demo_prints(command: Command) -> None:
    """The figures that the README shows of the demo are those that the demo prints, to 0.6 points."""
    shown = re.findall(r"^(\S+)\s+digits\s+(\w+)\s.*?top1\s+([\d.]+)", README, flags=re.MULTILINE)
    assert len(shown) == 8
    said = command("demo")
    printed = {
        (row[0], row[2]): float(row[5])
        for row in (line.split("\t") for line in said.out.splitlines())
        if len(row) == 9 and row[1] == "digits"
    }
    for model, protocol, value in shown:
        assert printed[model, protocol] == pytest.approx(float(value), abs=0.6)


def test_the_committed_board_is_that_of_the_committed_records(command: Command, tmp_path: Path) -> None:
    """`leaderboard/README.md` and `board.html`, `.csv` and `.parquet` beside it follow from the committed records, and
    so do `dense.md` and `dense.html`."""
    results = Results(TOP / "results")
    assert results.records()
    assert not results.skipped
    said = command("board", "--results", TOP / "results", "--unpaired", "--suite", "small7", "--out", ".")
    assert said.code == 0, said.err
    for ours, committed in {"board.md": "README.md", "board.html": "board.html", "board.csv": "board.csv"}.items():
        assert Path(ours).read_text() == (TOP / "leaderboard" / committed).read_text(), committed
    said = command("board", "--results", TOP / "results", "--unpaired", "--suite", "dense3", "--out", "dense")
    assert said.code == 0, said.err
    for ours, committed in {"board.md": "dense.md", "board.html": "dense.html"}.items():
        assert (Path("dense") / ours).read_text() == (TOP / "leaderboard" / committed).read_text(), committed
    # The bytes of Parquet tell which pyarrow wrote them.
    assert parquet.read_table("board.parquet").equals(parquet.read_table(TOP / "leaderboard" / "board.parquet"))

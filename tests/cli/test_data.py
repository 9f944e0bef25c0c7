"""`ssl-bench data`, and a folder of images in place of a task."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Command, lines
from tests.cli.test_run import images


def test_ls_says_what_is_here_and_how_to_get_the_rest(command: Command) -> None:
    """Every task has a line with its size and licence; what is absent has the command that gets it."""
    rows = {row[0]: row for row in lines(command("data", "ls").out)}
    assert rows["digits"][1] == "yes"
    assert rows["vtab1k_cifar100"][1] == "no"
    assert rows["vtab1k_cifar100"][4] == "ssl-bench data fetch vtab1k_cifar100"
    assert [row["task"] for row in json.loads(command("data", "ls", "mnist", "--json").out)] == [
        "mnist",
        "pneumoniamnist",
    ]


def test_show_and_path(command: Command) -> None:
    """A task's source, splits and files are shown; absent data is told with the step that gets it, and exit code 6."""
    assert "train 1,257, val 180, test 360" in command("data", "show", "digits").out
    shown = command("data", "show", "vtab1k_resisc45").out
    assert "missing" in shown
    assert command("data", "path", "vtab1k_resisc45").code == 6


def test_check_finds_a_broken_image(command: Command, tmp_path: Path) -> None:
    """A folder with a truncated image is told by name, with exit code 2; a whole one by its counts."""
    folder = images(tmp_path / "own")
    said = command("data", "check", folder, "--duplicates")
    assert said.code == 0
    assert "own: train 24, test 24 samples" in said.out
    broken = folder / "test" / "dark" / "3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    said = command("data", "check", folder)
    assert said.code == 2
    assert "test: cannot decode the image test/dark/3.png" in said.out


def test_a_folder_in_place_of_a_task(command: Command, tmp_path: Path) -> None:
    """`run --data FOLDER` and `run --task FOLDER` measure on a user's own folder, by one and the same record."""
    folder = images(tmp_path / "own")
    first = command("run", "-m", "pixels,size=8", "--data", folder, "-p", "knn,k=3")
    assert first.code == 0
    assert lines(first.out)[0][1:3] == ["own", "knn"]
    second = command("run", "-m", "pixels,size=8", "--task", folder, "-p", "knn,k=3")
    assert "1 records present" in second.err


def test_import_prints_a_card(command: Command, tmp_path: Path) -> None:
    """The card of a folder is printed as a file's text, its counts beside it; a folder of no classes is told."""
    folder = images(tmp_path / "own")
    said = command("data", "import", folder)
    assert f'path  = "{folder}"' in said.out
    assert "train 24, test 24 samples" in said.err
    (tmp_path / "empty").mkdir()
    assert command("data", "import", tmp_path / "empty").code == 2

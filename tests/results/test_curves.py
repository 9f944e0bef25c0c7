"""The course of a run, drawn for a terminal."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from ssl_bench.results import curves
from ssl_bench.results.describe import describe
from ssl_bench.results.record import ProtocolBlock
from tests.cli.conftest import Command, command
from tests.results.factory import make_record

__all__ = ["command"]
ROWS = tuple(
    {"step": step, "epoch": step / 10, "train_loss": 2.0 - step / 100, "rate": 0.5} for step in range(0, 101, 5)
)


def drawn(plain: bool) -> list[str]:
    return list(curves.plots(ROWS, plain=plain))


def test_a_line_falls_from_the_first_corner_to_the_last() -> None:
    """A falling straight line starts at the upper left and ends at the lower right, a row of letters for each level."""
    lines = drawn(plain=True)
    assert lines[0] == "  train_loss: 2 at first, 1 at last"
    picture = [line.partition("|")[2] for line in lines[1 : 1 + curves.HEIGHT]]
    columns = [(line.index("*"), line.rindex("*")) for line in picture]
    assert columns[0][0] == 0
    assert columns[-1][1] == curves.WIDTH - 1
    assert all(after[0] - before[1] in (0, 1) for before, after in itertools.pairwise(columns))
    assert lines[-1] == "  100 steps, 10 epochs"


def test_cells_hold_the_same_line() -> None:
    """The dots of Braille cells, two across and four down, lie where the line does."""
    picture = [line.partition("│")[2] for line in drawn(plain=False)[1 : 1 + curves.HEIGHT]]
    dots = sum((ord(letter) - curves.BLANK).bit_count() for line in picture for letter in line if letter != " ")
    assert 2 * curves.WIDTH <= dots <= 2 * curves.WIDTH + len(ROWS)
    assert picture[0].startswith("⠉")
    assert len(picture[-1]) == curves.WIDTH


def test_a_constant_is_a_level_line() -> None:
    """What does not change is drawn once, without a division by its range of 0."""
    lines = drawn(plain=True)
    level = lines[lines.index("  rate: 0.5 at first, 0.5 at last") + 1]
    assert level == f"        0.5 |{'*' * curves.WIDTH}"


def test_plain_is_plain() -> None:
    """Where a terminal takes ASCII alone, no other letter is drawn."""
    assert all(line.isascii() for line in drawn(plain=True))


def test_candidates_and_the_run_stand_apart() -> None:
    """A record shows candidates as rows, the run as plots, and the resolved recipe as a block of its own."""
    candidates = ({"rate": 0.1, "decay": 0.0, "val_top1": 0.5},)
    selected = {"rate": 0.1, "resolved": {"epochs": 100.0, "peak_rate": 0.002}}
    block = ProtocolBlock("fine_tune", 1, {"recipe": "mae"}, False, selected, (*candidates, *ROWS))
    shown = describe(dataclasses.replace(make_record("pixels"), protocol=block))
    assert '{"decay":0.0,"rate":0.1,"val_top1":0.5}' in shown
    assert "train_loss: 2 at first, 1 at last" in shown
    assert "\nrecipe, resolved\n  epochs           100.0\n" in shown
    assert '  selected         {"rate":0.1}\n' in shown


@pytest.mark.parametrize("words", [("show",), ("results", "show")])
def test_a_record_is_shown_by_either_command(words: tuple[str, ...], command: Command) -> None:
    """`ssl-bench show` takes a record's id where no card has its name, as `ssl-bench results show` does."""
    command("run", "-m", "pixels,size=8,channels=grey", "-t", "digits", "-p", "knn")
    [record] = command("results", "ls").out.splitlines()[1:]
    assert command(*words, record.split("\t")[0]).out.startswith("pixels,size=8,channels=grey · digits · knn")
    assert command(*words, "0123456789abcdef").code == 2

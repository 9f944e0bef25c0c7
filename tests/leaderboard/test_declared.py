"""What submitters declare, on the board's rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ssl_bench.cards import Shelves
from ssl_bench.errors import UsageError
from ssl_bench.leaderboard import entries, overlaps
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.overlaps import Dataset
from ssl_bench.leaderboard.ranking import make_board
from ssl_bench.leaderboard.rows import Row
from ssl_bench.results.slugs import slug
from ssl_bench.tasks import SuiteCard, names
from tests.results.factory import make_model, make_record, sha

GROUPS = {"natural": ("cifar10", "pets"), "textured": ("dtd",)}
SUITE = SuiteCard("s", "S", GROUPS, protocols=("knn",))
VALUES = {"cifar10": 0.9, "pets": 0.7, "dtd": 0.5}


def make_entry(name: str = "m", **values: Any) -> Entry:
    """Return an entry of the file "file"."""
    given = {"organisation": "o", "contact": "c", "licence": "l", "weights": "private", "sha256": sha("file")}
    return Entry(name, **given | {"data": ("x",), "labels_used": False} | values)


def row(entry: Entry, tasks: tuple[str, ...] = ("cifar10", "pets", "dtd"), file: str = "file", **suite: Any) -> Row:
    """Return the row of a model with these answers."""
    model = dataclasses.replace(make_model("m"), file_sha256=sha(file))
    records = [make_record(model, task, value=VALUES[task]) for task in tasks]
    other = [make_record("n", task, value=0.6) for task in VALUES]
    board = make_board([*records, *other], dataclasses.replace(SUITE, **suite), entries={entry.name: entry})
    found = {one.model.name: one for one in board.tables[0].rows}
    assert found["n"].entry is None
    return found["m"]


def test_a_row_bears_its_entry() -> None:
    """An entry stands on the row of its name and weights file, and on no other of that name."""
    assert row(make_entry()).entry == make_entry()
    assert row(make_entry(), file="another").entry is None
    assert row(make_entry("z")).entry is None


def test_contaminated_cells_are_marked_and_the_clean_mean_is_of_the_others() -> None:
    """The mean over all tasks stays; beside it stands the mean over the tasks of which nothing was seen."""
    found = row(make_entry(contamination={"cifar10": "train images"}))
    assert [cell.contaminated for cell in found.cells if cell] == ["train images", "", ""]
    assert found.mean.value == pytest.approx((0.9 + 0.7 + 0.5) / 3, abs=1e-3)
    assert found.clean is not None
    assert found.clean.value == pytest.approx((0.7 + 0.5) / 2, abs=1e-3)
    assert (found.clean.present, found.clean.total) == (2, 2)


def test_the_clean_mean_is_the_suites_own() -> None:
    """It is aggregated as the suite's mean is, over the groups that are left."""
    seen = {"pets": "all"}
    found = row(make_entry(contamination=seen), aggregate="mean_of_groups@1")
    assert found.clean is not None
    assert found.clean.value == pytest.approx((0.9 + 0.5) / 2, abs=1e-3)
    seen = {"dtd": "all"}
    found = row(make_entry(contamination=seen), aggregate="mean_of_groups@1")
    assert found.clean is not None
    assert found.clean.value == pytest.approx((0.9 + 0.7) / 2, abs=1e-3)


def test_without_contamination_or_without_clean_tasks_there_is_no_clean_mean() -> None:
    """Nothing declared is no second mean; a task that is missing among the clean ones leaves none, nor do no tasks."""
    assert row(make_entry()).clean is None
    assert row(make_entry(contamination={"svhn": "a task of another suite"})).clean is None
    missing = row(make_entry(contamination={"cifar10": "x"}), ("cifar10", "dtd")).clean
    assert missing is not None
    assert (missing.value, missing.present, missing.total) == (None, 1, 2)
    every = row(make_entry(contamination=dict.fromkeys(VALUES, "x"))).clean
    assert every is not None
    assert every.value is None


def test_divisions_share_no_board() -> None:
    """A board shows one division, says what it leaves out, and takes what has no entry for closed."""
    records = [make_record(name, "cifar10", value=0.8) for name in ("m", "n", "control")]
    declared = {"m": make_entry("m", division="open"), "n": make_entry("n")}
    closed = make_board(records, SUITE, entries=declared)
    assert [row.model.name for row in closed.tables[0].rows] == ["control", "n"]
    assert ("m (open division)", "1 record of another division than this board's") in closed.skipped
    opened = make_board(records, SUITE, entries=declared, division="open")
    assert [row.model.name for row in opened.tables[0].rows] == ["m"]


def test_entries_are_cards_called_as_their_models(tmp_path: Path) -> None:
    """A card's file is called as its model's records are; unknown keys are answered with the nearest known."""
    room = tmp_path / entries.ROOM
    room.mkdir(parents=True)
    text = (
        'organisation = "o"\ncontact = "c"\nlicence = "l"\nweights = "private"\n'
        f'sha256 = "{sha("file")}"\ndata = ["x"]\nlabels_used = false\n'
    )
    for name in ("my_model", "timm:vit_small_patch16_224,size=96"):
        (room / f"{slug(name)}.toml").write_text(f'name = "{name}"\n{text}')
    found = entries.read_all(Shelves((tmp_path,)))
    assert {"my_model", "timm:vit_small_patch16_224,size=96"} <= {*found}
    (room / "other.toml").write_text(f'name = "third"\n{text}')
    with pytest.raises(UsageError, match=r"the file must be called third\.toml"):
        entries.read_all(Shelves((tmp_path,)))
    (room / "other.toml").write_text(f'name = "other"\nlicense = "MIT"\n{text}')
    with pytest.raises(UsageError, match=r"unknown key 'license'\. Did you mean licence"):
        entries.read_all(Shelves((tmp_path,)))


def test_every_built_in_entry_and_dataset_can_be_read() -> None:
    """The cards of the board are right, and datasets name tasks that there are."""
    entries.read_all()
    known = names()
    for dataset in overlaps.read_all().values():
        assert {*dataset.tasks} <= {*known}, dataset.name


@pytest.mark.parametrize(
    ("declared", "tasks"),
    [
        ("CIFAR-10", {"cifar10"}),
        ("cifar10, train split", {"cifar10"}),
        ("CIFAR-100", {"vtab1k_cifar100"}),
        ("ImageNet-1k", {"miniimagenet"}),
        ("ILSVRC 2012 without labels", {"miniimagenet"}),
        ("ImageNette", set()),
        ("100 million images of the web", set()),
    ],
)
def test_declared_data_is_matched_by_words(declared: str, tasks: set[str]) -> None:
    """Spelling, case and hyphens do not hide what a dataset is; longer words that begin alike are others."""
    card = Dataset("imagenet1k", "ImageNet-1k", ("miniimagenet",), also=("ILSVRC 2012",))
    asked = ("cifar10", "vtab1k_cifar100", "miniimagenet")
    assert {*overlaps.overlapping([declared], asked, {"imagenet1k": card})} == tasks

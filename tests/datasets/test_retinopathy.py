from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench.datasets import retinopathy
from ssl_bench.errors import DataError, MissingError

OPTIONS = {
    "path": "prepared",
    "train_labels": "trainLabels.csv",
    "test_labels": "retinopathy_solution.csv",
    "largest": 8,
}


@pytest.fixture
def root(tmp_path: Path, pngs: list[bytes]) -> Path:
    """Kaggle's lists, and images of their names."""
    names = {"train": ("10_left", "10_right", "13_left"), "test": ("1_left", "1_right", "2_left", "2_right")}
    for folder, members in names.items():
        (tmp_path / "prepared" / folder).mkdir(parents=True)
        for i, name in enumerate(members):
            (tmp_path / f"prepared/{folder}/{name}.jpeg").write_bytes(pngs[i])
    (tmp_path / "trainLabels.csv").write_text("image,level\n10_left,0\n13_left,4\n10_right,2\n")
    lines = "image,level,Usage\n1_left,0,Private\n1_right,1,Public\n2_left,3,Private\n2_right,0,Private\n"
    (tmp_path / "retinopathy_solution.csv").write_text(lines)
    return tmp_path


def test_splits(root: Path, pngs: list[bytes]) -> None:
    """Kaggle's public leaderboard is val, its private one test; the id is the image's name, the label its grade."""
    splits = retinopathy.load(OPTIONS, root)
    assert splits["train"].ids == ("10_left", "13_left", "10_right")
    assert splits["train"].labels.tolist() == [0, 4, 2]
    assert splits["train"].read(1) == pngs[2]
    assert (splits["val"].ids, splits["val"].labels.tolist()) == (("1_right",), [1])
    assert (splits["test"].ids, splits["test"].labels.tolist()) == (("1_left", "2_left", "2_right"), [0, 3, 0])


def test_unprepared(root: Path) -> None:
    """Images larger than the prepared ones are refused: they are Kaggle's own."""
    with pytest.raises(DataError, match=r"10_left has 8x8 pixels, more than 7 on a side: it is not prepared"):
        retinopathy.load({**OPTIONS, "largest": 7}, root)
    assert len(retinopathy.load({**OPTIONS, "largest": 0}, root)["train"]) == 3


def test_dirt(root: Path) -> None:
    """A list of another form, an image that is not there, and all that is absent, are errors by name."""
    (root / "prepared/test/2_left.jpeg").unlink()
    with pytest.raises(DataError, match=r"no file 'test/2_left\.jpeg'"):
        retinopathy.load(OPTIONS, root)
    for text, message in (
        ("image,level\n1_left,0\n", "has no column 'Usage'"),
        ("image,level,Usage\n", "no Public"),
    ):
        (root / "retinopathy_solution.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            retinopathy.load(OPTIONS, root)
    (root / "retinopathy_solution.csv").unlink()
    with pytest.raises(MissingError, match=r"retinopathy_solution\.csv"):
        retinopathy.locate(OPTIONS, root)

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench.datasets import image_lists
from ssl_bench.errors import DataError, MissingError

OPTIONS = {"path": "SUN397", "lists": {"train": "tr.txt", "test": "te.txt"}}
TRAIN = ("/c/car_interior/backseat/sun_b.jpg", "/a/abbey/sun_d.jpg")
TEST = ("/a/abbey/sun_a.jpg",)


@pytest.fixture
def root(tmp_path: Path, pngs: list[bytes]) -> Path:
    """SUN397's layout: classes in folders one or two levels deep, and lists of paths with a slash first."""
    for i, name in enumerate((*TRAIN, *TEST, "/b/bath/sun_c.jpg")):
        path = tmp_path / f"SUN397{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pngs[i])
    (tmp_path / "tr.txt").write_text("\n".join(TRAIN) + "\n")
    (tmp_path / "te.txt").write_text("\n".join(TEST) + "\n")
    return tmp_path


def test_lists(root: Path, pngs: list[bytes]) -> None:
    """The order is the list's, the id the line, the class the whole folder; images that no list names do not count."""
    splits = image_lists.load(OPTIONS, root)
    assert splits["train"].ids == TRAIN
    assert splits["test"].class_names == ("/a/abbey", "/c/car_interior/backseat")
    assert splits["train"].labels.tolist() == [1, 0]
    assert splits["test"].labels.tolist() == [0]
    assert [splits["train"].read(0), splits["test"].read(0)] == [pngs[0], pngs[2]]
    assert image_lists.locate(OPTIONS, root)[:2] == [root / "tr.txt", root / "te.txt"]


def test_dirt(root: Path) -> None:
    """An image listed twice or not there and an empty list are errors; all that is absent is named at once."""
    for text, message in (
        (TEST[0], "name '/a/abbey/sun_a.jpg' twice"),
        ("/x/y.jpg", "no file 'x/y.jpg'"),
        ("\n", "no"),
    ):
        (root / "tr.txt").write_text(text)
        with pytest.raises(DataError, match=message):
            image_lists.load(OPTIONS, root)
    (root / "tr.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match="not UTF-8"):
        image_lists.load(OPTIONS, root)
    (root / "te.txt").unlink()
    with pytest.raises(MissingError, match=r"none, .*te\.txt"):
        image_lists.locate({**OPTIONS, "path": "none"}, root)


def test_numbered_lists(tmp_path: Path, pngs: list[bytes]) -> None:
    """A line may bear its label, and a split's paths may begin in a folder of its own; other lines are told."""
    for name, png in zip(("big/a.png", "big/b.png", "small/a.png"), pngs, strict=False):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(png)
    (tmp_path / "train.txt").write_text("/b.png 7\n/a.png 0\n")
    (tmp_path / "val.txt").write_text("a.png 3\n")
    options = {"path": "images", "numbered": True, "folders": {"train": "big", "val": "small"}}
    options["lists"] = {"train": "train.txt", "val": "val.txt"}
    found = image_lists.load(options, tmp_path)
    assert found["train"].ids == ("/b.png", "/a.png")
    assert (found["train"].labels.tolist(), found["val"].labels.tolist()) == ([7, 0], [3])
    assert (found["train"].read(0), found["val"].read(0)) == (pngs[1], pngs[2])
    assert found["val"].class_names == ()
    for line in ("a.png", "a.png x", "7"):
        (tmp_path / "val.txt").write_text(line)
        with pytest.raises(DataError, match=r"val\.txt: the line .* is not a path, a space and a label"):
            image_lists.load(options, tmp_path)

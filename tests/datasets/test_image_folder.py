from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssl_bench import images
from ssl_bench.datasets import image_folder
from ssl_bench.errors import DataError, MissingError, UsageError


def test_classes_across_splits(folder: Path) -> None:
    """Classes are the union of all splits', sorted, so that a split that lacks one keeps the others' numbers."""
    splits = image_folder.load({"path": "animals"}, folder.parent)
    assert splits["train"].class_names == splits["test"].class_names == ("ant", "bee", "cat")
    assert splits["train"].labels.tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert splits["test"].labels.tolist() == [0, 2, 2]
    assert splits["test"].ids == ("test/ant/0.png", "test/cat/0.png", "test/cat/1.png")
    assert splits["test"].read(1) == (folder / "test/cat/0.png").read_bytes()


@pytest.mark.parametrize("ending", ["tar", "tgz", "zip"])
def test_archives(folder: Path, packer: Callable[..., Path], ending: str) -> None:
    """An archive gives the same samples in the same order, whatever the order of its members."""
    packer(folder, folder.parent / f"a.{ending}", reverse=True)
    whole = image_folder.load({"path": "animals"}, folder.parent)
    packed = image_folder.load({"path": f"a.{ending}"}, folder.parent)
    for name, split in whole.items():
        assert packed[name].ids == split.ids
        assert packed[name].labels.tolist() == split.labels.tolist()
        assert [packed[name].read(i) for i in range(len(split))] == [split.read(i) for i in range(len(split))]


def test_one_split(folder: Path) -> None:
    """A source without split folders is one split, whose name the card gives."""
    splits = image_folder.load({"path": "animals", "inside": "train", "split": "all"}, folder.parent)
    assert list(splits) == ["all"]
    assert splits["all"].ids[:2] == ("ant/0.png", "ant/1.png")


def test_junk(folder: Path) -> None:
    """Leftovers of file managers, hidden files and notes beside the class folders are no part of the data."""
    for name in ("train/ant/Thumbs.db", "train/.DS_Store", "train/ant/._0.png", "README.md", "train/list.csv"):
        (folder / name).write_text("x")
    (folder / ".git").mkdir()
    assert len(image_folder.load({"path": "animals"}, folder.parent)["train"]) == 7
    assert folder / "train/ant/Thumbs.db" not in image_folder.locate({"path": "animals"}, folder.parent)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("train/dog/", "the class folder train/dog holds no images"),
        ("val/", "the split folder val holds no images"),
        ("val/ant/", "the split folder val holds no images"),
        ("train/ant/notes.txt", "train/ant/notes.txt lies in a class folder but is no image"),
        ("train/lost.png", "the image train/lost.png does not lie in a <split>/<class>/ folder"),
    ],
)
def test_dirt(folder: Path, made: str, message: str) -> None:
    """An empty class or split, and files where none belong, are errors that name the place."""
    path = folder / made
    if made.endswith("/"):
        path.mkdir(parents=True)
    else:
        path.write_bytes(b"x")
    with pytest.raises(DataError, match=message):
        image_folder.load({"path": "animals"}, folder.parent)


def test_no_classes(tmp_path: Path) -> None:
    """A folder without images in class folders is an error."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no images in <split>/<class>/ folders"):
        image_folder.load({"path": "empty"}, tmp_path)


def test_corrupt_image(folder: Path) -> None:
    """A file that is no image by its bytes is an error that names it, when it is decoded."""
    path = folder / "train/ant/0.png"
    path.write_bytes(path.read_bytes()[:60])
    split = image_folder.load({"path": "animals"}, folder.parent)["train"]
    with pytest.raises(DataError, match=r"train/ant/0\.png"):
        images.decode(split.read(0), split.ids[0])


def test_missing(tmp_path: Path) -> None:
    """A folder that is not there is missing, and an unknown option gets a suggestion."""
    with pytest.raises(MissingError, match="none"):
        image_folder.locate({"path": "none"}, tmp_path)
    with pytest.raises(UsageError, match=r"unknown key 'pth'\. Did you mean path"):
        image_folder.locate({"pth": "none"}, tmp_path)


def test_file_gone(folder: Path) -> None:
    """An image that disappears between listing and reading is missing, by name."""
    split = image_folder.load({"path": "animals"}, folder.parent)["train"]
    (folder / "train/ant/0.png").unlink()
    with pytest.raises(MissingError, match=r"cannot read .*0\.png"):
        split.read(0)


def test_class_folders_called_by_numbers(tmp_path: Path, pngs: list[bytes]) -> None:
    """With order = "number" folders 0, 2 and 10 are the labels 0, 1 and 2; a word among them is refused."""
    for name in ("0", "10", "2"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "a.png").write_bytes(pngs[int(name)])
    options = {"path": "set", "split": "test", "order": "number"}
    split = image_folder.load(options, tmp_path)["test"]
    assert split.class_names == ("0", "2", "10")
    assert dict(zip(split.ids, split.labels.tolist(), strict=True)) == {"0/a.png": 0, "10/a.png": 2, "2/a.png": 1}
    (tmp_path / "set" / "cat").mkdir()
    (tmp_path / "set" / "cat" / "a.png").write_bytes(pngs[1])
    with pytest.raises(DataError, match="'cat' is not a number"):
        image_folder.load(options, tmp_path)


def test_counts_per_class(tmp_path: Path, pngs: list[bytes]) -> None:
    """A number of every class goes to a split, by the md5 of the paths, and the rest to the last; too few are told."""
    for name, count in (("ant", 4), ("bee", 5)):
        (tmp_path / "all" / name).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "all" / name / f"{i}.png").write_bytes(pngs[i])
    options = {"path": "all", "counts": {"train": 2, "val": 1, "test": -1}}
    found = image_folder.load(options, tmp_path)
    assert {split: np.bincount(own.labels).tolist() for split, own in found.items()} == {
        "train": [2, 2],
        "val": [1, 1],
        "test": [1, 2],
    }
    ranked = sorted((f"bee/{i}.png" for i in range(5)), key=lambda path: hashlib.md5(path.encode()).hexdigest())
    assert [path for path in ranked if path in found["train"].ids] == ranked[:2]
    assert sorted(path for own in found.values() for path in own.ids) == sorted(
        image_folder.load({"path": "all", "split": "x"}, tmp_path)["x"].ids
    )
    assert len(image_folder.load({"path": "all", "counts": {"a": 4}}, tmp_path)["a"]) == 8
    with pytest.raises(DataError, match="class ant has 4 images, fewer than"):
        image_folder.load({"path": "all", "counts": {"train": 4, "test": -1}}, tmp_path)
    for counts in ({"train": -1, "test": 2}, {"train": 0}, {"train": -2}):
        with pytest.raises(UsageError, match="must be above 0, or -1 for the last"):
            image_folder.load({"path": "all", "counts": counts}, tmp_path)

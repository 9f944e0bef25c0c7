"""A user's own folder of images as a task."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_bench import cards, datasets, own_data
from ssl_bench.errors import DataError, UsageError
from ssl_bench.tasks import TaskCard
from tests import scenes


def fill(folder: Path, count: int = 20) -> None:
    """Write `count` different images into a folder."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(sum(str(folder).encode()))
    for number in range(count):
        Image.fromarray(draw.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number}.png")


def roles(card: TaskCard) -> dict[str, list[str]]:
    return {role: list(split.ids) for role, split in datasets.load(card, Path("/nowhere")).items()}


def test_class_folders_are_drawn_into_splits(tmp_path: Path) -> None:
    """Folders of classes become 70 % train, 10 % val and 20 % test of every class, each image once."""
    fill(tmp_path / "own" / "cat", 20)
    fill(tmp_path / "own" / "dog", 40)
    card = own_data.card(tmp_path / "own")
    found = roles(card)
    assert (card.name, card.classes) == ("own", 2)
    for name, count in (("cat", 20), ("dog", 40)):
        sizes = {role: sum(i.startswith(name) for i in ids) for role, ids in found.items()}
        assert sizes == {"train": 0.7 * count, "val": 0.1 * count, "test": 0.2 * count}
    assert len({i for ids in found.values() for i in ids}) == 60


def test_the_draw_is_the_same_elsewhere(tmp_path: Path) -> None:
    """Another place, another order of writing and another class change no image's split."""
    for place in ("a", "b"):
        fill(tmp_path / place / "cat", 30)
    fill(tmp_path / "b" / "dog", 30)
    fill(tmp_path / "a" / "emu", 30)
    first, second = (roles(own_data.card(tmp_path / place)) for place in ("a", "b"))
    assert all([i for i in first[role] if "cat" in i] == [i for i in second[role] if "cat" in i] for role in first)


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (("train", "test"), ("train", "", "test")),
        (("Train", "Valid", "Test"), ("Train", "Valid", "Test")),
        (("train", "val"), ("train", "", "val")),
    ],
)
def test_split_folders_are_the_splits(tmp_path: Path, folders: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """Folders called train, val and test are taken as they are; val alone beside train is what is reported."""
    for folder in folders:
        fill(tmp_path / folder / "cat", 3)
        fill(tmp_path / folder / "dog", 3)
    card = own_data.card(tmp_path)
    assert (card.splits.train, card.splits.val, card.splits.test) == expected
    assert card.classes == 2
    assert len(roles(card)["test"]) == 6


@pytest.mark.parametrize(
    ("folders", "message"), [((), "holds neither"), (("train",), "no test/ beside it"), (("test", "val"), "neither")]
)
def test_folders_that_are_no_task(tmp_path: Path, folders: tuple[str, ...], message: str) -> None:
    """A folder that shows no classes, or a train without a test, is told in one line."""
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(UsageError, match=message):
        own_data.card(tmp_path)


def test_the_printed_card_is_the_same_task(tmp_path: Path) -> None:
    """What `data import` prints, saved as a card, gives the same splits."""
    fill(tmp_path / "own" / "cat")
    fill(tmp_path / "own" / "dog")
    card = own_data.card(tmp_path / "own")
    path = tmp_path / "own.toml"
    path.write_text(own_data.toml(card))
    assert roles(cards.read_card(path, TaskCard)) == roles(card)


def test_shares_must_add_up(tmp_path: Path) -> None:
    """Shares that do not add up to one are told."""
    fill(tmp_path / "own" / "cat")
    fill(tmp_path / "own" / "dog")
    data = {"path": str(tmp_path / "own"), "parts": {"train": 0.7, "test": 0.2}}
    with pytest.raises(UsageError, match="add up to 1"):
        datasets.load(TaskCard("own", "own", "image_folder", 2, data=data), tmp_path)


def test_a_stray_file_is_named(tmp_path: Path) -> None:
    """A file that is no image in a class folder is named, not skipped."""
    fill(tmp_path / "own" / "cat")
    fill(tmp_path / "own" / "dog")
    (tmp_path / "own" / "dog" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"notes\.txt lies in a class folder but is no image"):
        roles(own_data.card(tmp_path / "own"))


def test_a_path_without_anything_is_told(tmp_path: Path) -> None:
    """A mistyped folder is told as a folder, not as a card that is missing."""
    with pytest.raises(UsageError, match=r"neither a folder of images nor a task card is at .*own; check the path"):
        own_data.get(str(tmp_path / "own"))


def masked(folder: Path) -> Path:
    """Write scenes with masks and their classes' names into a folder."""
    scenes.write(folder)
    (folder / "classes.txt").write_text("sky\nground\n\na box \n")
    return folder


def swapped(folder: Path) -> None:
    """Turn `<split>/images/` into `images/<split>/`, and masks likewise."""
    for split in ("train", "test"):
        for part in ("images", "masks"):
            (folder / part).mkdir(exist_ok=True)
            (folder / split / part).rename(folder / part / split)
        (folder / split).rmdir()


@pytest.mark.parametrize("layout", ["splits above", "splits below"])
def test_images_and_masks_are_a_segmentation_task(layout: str, tmp_path: Path) -> None:
    """Images and masks in folders of splits, or splits in folders of both, are measured by mIoU over classes.txt."""
    folder = masked(tmp_path / "own")
    if layout == "splits below":
        swapped(folder)
    card = own_data.card(folder)
    assert (card.kind, card.metric, card.class_names) == ("segmentation", "miou", ("sky", "ground", "a box"))
    splits = datasets.load(card, tmp_path)
    assert {role: len(split) for role, split in splits.items()} == {"train": 6, "test": 4}
    assert splits["test"].targets is not None
    np.testing.assert_array_equal(splits["test"].targets[1].labels, scenes.scene(101, (30, 50))[1])


def test_images_and_masks_without_splits_are_drawn(tmp_path: Path) -> None:
    """images/ and masks/ alone become 70 % train, 10 % val and 20 % test, each pair once; an image more moves none."""
    folder = masked(tmp_path / "own")
    for part in ("images", "masks"):
        (folder / "train" / part).rename(folder / part)
        for path in (folder / "test" / part).iterdir():
            path.rename(folder / part / path.name)
    shutil.rmtree(folder / "train")
    shutil.rmtree(folder / "test")
    found = roles(own_data.card(folder))
    assert {role: len(ids) for role, ids in found.items()} == {"train": 7, "val": 1, "test": 2}
    assert len({i for ids in found.values() for i in ids}) == 10
    path = tmp_path / "own.toml"
    path.write_text(own_data.toml(own_data.card(folder)))
    card = cards.read_card(path, TaskCard)
    assert roles(card) == found
    assert (card.kind, card.class_names) == ("segmentation", ("sky", "ground", "a box"))


def test_masks_that_are_no_task(tmp_path: Path) -> None:
    """Masks without the names of their classes, or images without masks, are told with the mend."""
    folder = masked(tmp_path / "own")
    (folder / "classes.txt").unlink()
    with pytest.raises(UsageError, match=r"write the classes of the masks into .*classes\.txt: a name a line"):
        own_data.card(folder)
    shutil.rmtree(folder / "test" / "masks")
    with pytest.raises(UsageError, match=r"but not masks/ beside each, in train/ and in test/ or val/"):
        own_data.card(folder)

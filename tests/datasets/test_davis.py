"""DAVIS on a replica: frames, what is given of them, and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench import datasets, tasks
from ssl_bench.datasets import index
from ssl_bench.errors import DataError
from ssl_bench.targets import videos
from tests.datasets.replicas import davis as replica
from tests.datasets.replicas import encoded


@pytest.fixture
def root(tmp_path: Path) -> Path:
    replica.build(tmp_path)
    return tmp_path


def test_videos(root: Path) -> None:
    """Videos come in the order of the list; their first masks alone are given, by the numbers of the palette."""
    split = datasets.load(tasks.get("davis2017"), root)["test"]
    assert split.targets is not None
    cow, bike = videos.draw(split.targets)
    assert (cow.name, bike.name, cow.objects, bike.objects) == ("cow", "bike", 1, 2)
    assert [split.ids[position] for position in cow.frames] == [f"cow/{number:05d}" for number in range(5)]
    np.testing.assert_array_equal(bike.first, replica.frame("bike", 0)[1])
    np.testing.assert_array_equal(split.targets[7].labels, replica.frame("bike", 2)[1])


def test_a_part_of_the_frames(root: Path) -> None:
    """A video whose first frame is not in a part of the split is passed over."""
    split = datasets.load(tasks.get("davis2017"), root)["test"].take(slice(2, 8))
    assert split.targets is not None
    [bike] = videos.draw(split.targets)
    assert bike.frames.tolist() == [3, 4, 5]
    rest = split.take(slice(0, 2))
    assert rest.targets is not None
    with pytest.raises(DataError, match="first frame of no video"):
        videos.draw(rest.targets)


def test_damaged_files(root: Path) -> None:
    """A first frame without an object, a mask of colours, an absent mask and an unknown video are named."""
    card, folder = tasks.get("davis2017"), root / "davis/DAVIS"
    first = folder / "Annotations/480p/cow/00000.png"
    for content, said in (
        (
            replica.mask_png(np.zeros(replica.SIZE, np.uint8)),
            "cow/00000 is the first frame of 'cow' and shows no object",
        ),
        (encoded(np.zeros((*replica.SIZE, 3), np.uint8), "png"), "the mask of cow/00000 has 3 channels"),
        (replica.mask_png(np.ones((8, 8), np.uint8)), "cow/00000 is of 8x8 pixels, but its image has 80x48"),
    ):
        first.write_bytes(content)
        with pytest.raises(DataError, match=said):
            index.build(card, root, root / "cache")
    first.unlink()
    with pytest.raises(DataError, match=r"holds no file .*cow/00000.png"):
        datasets.load(card, root)
    (folder / "ImageSets/2017/val.txt").write_text("horse\n")
    with pytest.raises(DataError, match="lists 'horse', of which there are no frames"):
        datasets.load(card, root)

"""SPair-71k on a replica: landmarks, pairs and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench import datasets, tasks
from ssl_bench.datasets import index
from ssl_bench.errors import DataError
from ssl_bench.targets import pairs
from tests.datasets.replicas import spair as replica


@pytest.fixture
def root(tmp_path: Path) -> Path:
    replica.build(tmp_path)
    return tmp_path


def test_pairs(root: Path) -> None:
    """A pair is asked for the landmarks that both images have; the question tells nothing of the second image."""
    split = datasets.load(tasks.get("spair71k"), root)["test"]
    assert split.targets is not None
    asked, true = pairs.draw(split.targets, split.ids)
    told = {
        (split.ids[one][4:], split.ids[other][4:]): (marks.tolist(), places.tolist(), names.tolist())
        for one, other, marks, places, names in zip(
            asked.first, asked.second, asked.places, true.places, true.names, strict=True
        )
    }
    scaled = [10 / 64, 20 / 48]
    assert told == {
        ("2008_000001", "2008_000002"): ([scaled], [[12, 22]], [0]),
        ("2008_000001", "2008_000003"): ([scaled, [30 / 64, 40 / 48]], [[14, 24], [34, 44]], [0, 1]),
        ("2008_000003", "2008_000002"): ([[14 / 64, 24 / 48], [42 / 64, 10 / 48]], [[12, 22], [40, 8]], [0, 2]),
        ("2009_000002", "2009_000001"): ([[6 / 64, 7 / 48]], [[5, 5]], [0]),
    }
    assert true.measures.tolist() == [42.0] * 4
    assert sorted(true.groups) == ["bus", "cat", "cat", "cat"]


def test_a_part_of_the_images(root: Path) -> None:
    """Of a part of the split the pairs between its own images are asked; of none there is nothing to ask."""
    split = datasets.load(tasks.get("spair71k"), root)["test"]
    part = split.take([0, 1, 2])
    assert part.targets is not None
    assert pairs.draw(part.targets, part.ids)[0].second.tolist() == [0]
    alone = split.take([0])
    assert alone.targets is not None
    with pytest.raises(DataError, match="no two images of test have a landmark in common"):
        pairs.draw(alone.targets, alone.ids)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('{"kps": {"0": [10, 200]}}', r"bus/2009_000001 has a landmark at \[10.0, 200.0\], outside its 64x48 pixels"),
        ('{"kps": [1]}', "the landmarks of bus/2009_000001 are damaged"),
        ('{"kps": {"0": [1, 2, 3]}}', "the landmarks of bus/2009_000001 are damaged"),
        ("{", "the landmarks of bus/2009_000001 are damaged"),
    ],
)
def test_damaged_landmarks(change: str, said: str, root: Path) -> None:
    """A landmark outside its image, and a file of another form, are named by the image."""
    (root / "spair/SPair-71k/ImageAnnotation/bus/2009_000001.json").write_text(change)
    with pytest.raises(DataError, match=said):
        index.build(tasks.get("spair71k"), root, root / "cache")


def test_damaged_pairs(root: Path) -> None:
    """A pair of an absent image, one that is called otherwise, and a folder without pairs are told."""
    folder = root / "spair/SPair-71k/PairAnnotation/test"
    odd = folder / "000009-2009_000001-2009_000009:bus.json"
    odd.write_text("{}")
    with pytest.raises(DataError, match=r"holds no file .*2009_000009"):
        datasets.load(tasks.get("spair71k"), root)
    odd.rename(folder / "9.json")
    with pytest.raises(DataError, match=r"9.json is not called <number>-<image>-<image>:<class>.json"):
        datasets.load(tasks.get("spair71k"), root)
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="holds no PairAnnotation/test"):
        datasets.load(tasks.get("spair71k"), root)


def test_the_digest_covers_the_pairs(root: Path) -> None:
    """One pair less is another task."""
    card = tasks.get("spair71k")
    whole = index.build(card, root, root / "cache").task_digest
    next((root / "spair/SPair-71k/PairAnnotation/test").glob("000001-*")).unlink()
    assert index.build(card, root, root / "cache").task_digest != whole


def test_places_are_as_they_are_told(root: Path) -> None:
    """A landmark that an image has not is left out."""
    targets = datasets.load(tasks.get("spair71k"), root)["test"].targets
    assert targets is not None
    assert [one.names.tolist() for one in (targets[2], targets[3])] == [[0, 1], [0, 2]]
    np.testing.assert_array_equal(targets[3].places, [[12, 22], [40, 8]])

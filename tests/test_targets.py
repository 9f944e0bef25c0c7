"""What is true of an image's parts: checked once, known by its content, and out of reach for protocols where it is of
test."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench import datasets, targets
from ssl_bench.datasets import index
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.splits import join
from ssl_bench.errors import DataError, UsageError
from ssl_bench.features import FeatureStore
from ssl_bench.loading import Work
from ssl_bench.predictions.spool import Spool
from ssl_bench.progress import Progress
from ssl_bench.protocols.base import Supply, Trial
from ssl_bench.targets import VOID, Directions, Distances, Mask, Objects, Targets
from ssl_bench.tasks import Splits, TaskCard
from ssl_bench.trials import CachedSupply, Data

CARD = TaskCard("parts", "Parts", __name__, classes=3, kind="segmentation", metric="miou", splits=Splits("a", "", "b"))


@dataclasses.dataclass
class Stack:
    """Things by position: images, or their targets."""

    things: list[Any]

    def __len__(self) -> int:
        return len(self.things)

    def read(self, position: int) -> Any:
        return self.things[position]


def split_of(masks: list[Mask], first: int = 0) -> Split:
    """Images of increasing brightness, of the same sizes as their masks."""
    pictures = [np.full((*mask.size, 3), first + i, dtype=np.uint8) for i, mask in enumerate(masks)]
    ids = tuple(f"image {first + i}" for i in range(len(masks)))
    return Split(Stack(pictures), np.arange(len(masks)), ids, np.zeros((len(masks), 0), np.int64), (), Stack(masks))


def masks_of(*labels: int) -> list[Mask]:
    """A mask of one label for each, the first two pixels wider than high."""
    return [Mask(np.full((3, 5), label, dtype=np.uint8)) for label in labels]


SPLITS: dict[str, Split] = {}


def locate(options: Any, root: Path) -> list[Path]:
    return []


def load(options: Any, root: Path) -> dict[str, Split]:
    return SPLITS


@pytest.fixture(autouse=True)
def _splits() -> None:
    SPLITS.clear()
    SPLITS.update(a=split_of(masks_of(0, 1, 2)), b=split_of(masks_of(2, VOID), first=10))


def objects_of(boxes: list[list[float]], labels: list[int]) -> Objects:
    """Objects of an image of 3 x 5 pixels."""
    array = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    no = np.zeros(len(labels), dtype=bool)
    return Objects((3, 5), array, np.array(labels, np.int64), np.ones(len(labels)), no, no)


def test_targets_follow_their_samples() -> None:
    """Taking, reordering and joining splits takes, reorders and joins their targets."""
    first, second = SPLITS["a"], SPLITS["b"]
    both = join([first.take([2, 0]), second])
    assert both.targets is not None
    assert [int(both.targets[i].labels[0, 0]) for i in range(4)] == [2, 0, 2, VOID]
    with pytest.raises(DataError, match="have targets and others have not"):
        join([first, dataclasses.replace(second, truth=None)])


def test_a_task_is_what_its_targets_are(tmp_path: Path) -> None:
    """Another mask of the same image makes another task; the index is kept, and says the same when read again."""
    built = index.build(CARD, tmp_path, tmp_path / "cache")
    kept = index.lookup(CARD, tmp_path, tmp_path / "cache")
    assert kept is not None
    assert kept.task_digest == built.task_digest
    np.testing.assert_array_equal(kept.roles["test"].targets, built.roles["test"].targets)
    SPLITS["a"] = split_of(masks_of(0, 1, 1))
    assert index.build(CARD, tmp_path, tmp_path / "other").task_digest != built.task_digest


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.array([[0, 1], [2, 3]], np.uint8), "mask of image 0 has the label 3 at row 1, column 1, outside 0 to 2"),
        (np.zeros((4, 4), np.uint8), "target of image 0 is of 4x4 pixels, but its image has 2x2"),
    ],
)
def test_wrong_masks_are_named(mask: Any, message: str, tmp_path: Path) -> None:
    """A mask with a label outside the classes, or of another size than its image, is one line that names the image."""
    image = np.zeros((2, 2, 3), np.uint8)
    labels = np.zeros((1, 0), np.int64)
    SPLITS["a"] = Split(Stack([image]), np.arange(1), ("image 0",), labels, (), Stack([Mask(mask)]))
    with pytest.raises(DataError, match=message):
        index.build(CARD, tmp_path, tmp_path / "cache")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (objects_of([[0, 0, 2, 2], [1, 1, 1, 3]], [0, 1]), r"object 1 of x has the box \[1.0, 1.0, 1.0, 3.0\]"),
        (objects_of([[0, 0, 2, 2]], [3]), "object 0 of x has the label 3, outside 0 to 2"),
        (Distances(np.full((3, 5), np.nan, np.float32)), "depths of x hold values that are not finite"),
        (Distances(np.full((3, 5), -1, np.float32)), "depths of x hold values that are not finite or below 0"),
        (Directions(np.full((3, 5, 3), 0.2, np.float32)), "normals of x must have length 1"),
    ],
)
def test_wrong_targets_are_named(target: Any, message: str) -> None:
    """Boxes without a pixel, unknown classes and impossible distances are errors that name the image."""
    with pytest.raises(DataError, match=message):
        targets.check(target, (3, 5), 3, "x")


def test_right_targets_pass() -> None:
    """Unknown distances and directions, images without objects and void pixels are no errors."""
    for target in (
        objects_of([], []),
        Distances(np.zeros((3, 5), np.float32)),
        Directions(np.zeros((3, 5, 3), np.float32)),
        *masks_of(VOID, 2),
    ):
        targets.check(target, (3, 5), 3, "x")


def test_digests_tell_targets_apart() -> None:
    """A target's digest changes with every field that it has."""
    base = objects_of([[0, 0, 2, 2]], [0])
    changes: list[dict[str, Any]] = [
        {"size": (5, 3)},
        {"boxes": base.boxes + 0.5},
        {"labels": base.labels + 1},
        {"areas": base.areas + 1},
        {"crowd": ~base.crowd},
        {"difficult": ~base.difficult},
        {"outlines": (b"PPYo1",)},
    ]
    assert len({base.digest, *(dataclasses.replace(base, **change).digest for change in changes)}) == 1 + len(changes)
    flat, turned = Mask(np.zeros((2, 3), np.uint8)), Mask(np.zeros((3, 2), np.uint8))
    assert flat.digest != turned.digest


def test_a_cards_kind_says_whether_there_are_targets() -> None:
    """Targets for a classification task, and none for a segmentation task, are errors that name the card's kind."""
    with pytest.raises(DataError, match="has targets of its parts, which the card's kind 'classification'"):
        datasets.load(dataclasses.replace(CARD, kind="classification", metric="top1"), Path())
    SPLITS["b"] = dataclasses.replace(SPLITS["b"], truth=None)
    with pytest.raises(DataError, match="test has no targets of its parts"):
        datasets.load(CARD, Path())
    with pytest.raises(UsageError, match="2 to 255 classes, not 256"):
        dataclasses.replace(CARD, classes=256)


def supply_of(workers: int, seed: int = 0) -> CachedSupply:
    """Images and targets of the splits, prepared by this many threads."""
    data = Data({"train": SPLITS["a"], "test": SPLITS["b"]}, {}, "")
    backbone: Any = type("Network", (), {"input": None})()
    spec: Any = type("Spec", (), {"input": type("Input", (), {"channels": "rgb"})()})()
    store, work = FeatureStore(Path("nowhere")), Work(workers=workers)
    return CachedSupply(backbone, spec, data, store, work, Progress(), "", seed, {}, Path())


def test_prepared_images_come_in_order_and_without_the_truth_of_test() -> None:
    """Whoever prepares them, images come in the order asked for with the same draws; those of test have no target."""

    def prepare(image: Any, target: Any, generator: Any) -> tuple[int, Any, float]:
        return int(image[0, 0, 0]), None if target is None else int(target.labels[0, 0]), generator.random()

    order = np.array([2, 0, 2, 1])
    alone = list(supply_of(0).prepared("train", prepare, order, np.arange(4)))
    assert [made[:2] for made in alone] == [(2, 2), (0, 0), (2, 2), (1, 1)]
    assert alone == list(supply_of(3).prepared("train", prepare, order, np.arange(4)))
    assert len({made[2] for made in alone}) == 4
    assert [made[2] for made in supply_of(0, seed=1).prepared("train", prepare, order)] != [made[2] for made in alone]
    assert [made[:2] for made in supply_of(2).prepared("test", prepare, np.arange(2))] == [(10, None), (11, None)]


def test_a_trial_refuses_targets_of_test() -> None:
    """A trial that holds targets of test cannot be made."""
    truth = Targets(Stack(masks_of(0)), np.arange(1))
    with pytest.raises(ValueError, match="test labels"):
        Trial(classes=3, seed=0, sizes={"test": 1}, labels={}, supply=Supply(), targets={"test": truth})


def test_a_spool_gives_back_what_was_put() -> None:
    """Arrays of any shapes and types come back as they were, by position."""
    spool, arrays = Spool(), [np.arange(6, dtype=np.uint8).reshape(2, 3), np.float32([0.5]), np.zeros((0, 4))]
    for array in arrays:
        spool.append(array)
    assert len(spool) == 3
    for position in (2, 0, 1):
        np.testing.assert_array_equal(spool[position], arrays[position])
        assert spool[position].dtype == arrays[position].dtype

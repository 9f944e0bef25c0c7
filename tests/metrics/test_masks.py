"""Scores of maps of classes: by hand, and a confusion matrix and edges computed in another way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from ssl_bench import metrics
from ssl_bench.errors import DataError
from ssl_bench.metrics.masks import per_class_iou
from ssl_bench.predictions import LabelMaps, Overlaps, Truth
from ssl_bench.predictions.masks import on_edge
from ssl_bench.predictions.spool import Spool
from ssl_bench.targets import VOID, Mask, Targets


class Given:
    """Masks at hand, by position."""

    def __init__(self, masks: Sequence[NDArray[np.uint8]]) -> None:
        self.masks = masks

    def __len__(self) -> int:
        return len(self.masks)

    def read(self, index: int) -> Mask:
        return Mask(self.masks[index])


def truth_of(masks: Sequence[NDArray[np.uint8]], classes: int) -> Truth:
    ids = tuple(f"image {number}" for number in range(len(masks)))
    labels = {"test": np.zeros((len(masks), 0), dtype=np.int64)}
    return Truth(labels, classes, {"test": ids}, dense=Targets(Given(masks), np.arange(len(masks))))


def judged(said: Sequence[NDArray[np.uint8]], masks: Sequence[NDArray[np.uint8]], classes: int) -> Overlaps:
    return LabelMaps(said).judged(truth_of(masks, classes))


def values(said: Sequence[NDArray[np.uint8]], masks: Sequence[NDArray[np.uint8]], classes: int) -> dict[str, float]:
    truth = truth_of(masks, classes)
    found = LabelMaps(said).judged(truth)
    scored = [metric for metric in metrics.of_kind("segmentation") if metric.applies(found, truth)]
    return {metric.name: metric.score(found, truth)[0] for metric in scored}


def drawn(seed: int, images: int = 5, classes: int = 6) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Return maps and masks of several sizes in blocks of 4 pixels, some of which count for no class; class 5 is never
    true, and class 4 neither true nor said."""
    generator = np.random.default_rng(seed)
    said, masks = [], []
    for number in range(images):
        size = 6 + number, 9 + 2 * number
        true, guess = (generator.choice([0, 1, 2, 3, last], size) for last in (VOID, 5))
        guess = np.where(generator.random(size) < 0.6, true, guess)
        masks.append(np.kron(true, np.ones((4, 4))).astype(np.uint8))
        said.append(np.kron(np.where(guess == VOID, 0, guess), np.ones((4, 4))).astype(np.uint8))
    return said, masks


def test_by_hand() -> None:
    """Two images of 4 pixels: unions are taken over both, and a class that is nowhere does not count."""
    masks = [np.array([[0, 0], [0, VOID]], np.uint8), np.array([[1, 1, 1, 1]], np.uint8)]
    said = [np.array([[0, 0], [1, 2]], np.uint8), np.array([[1, 1, 0, 0]], np.uint8)]
    found = values(said, masks, 4)  # class 0: 2 of 5; class 1: 2 of 5; 2 is said where nothing counts, 3 never
    assert found["miou"] == pytest.approx(2 / 5)
    assert found["macc"] == pytest.approx((2 / 3 + 2 / 4) / 2)
    assert found["aacc"] == pytest.approx(4 / 7)


def test_each_class_alone() -> None:
    """A class's own figure is by its name, or its label where names are not one for each; absent classes have none."""
    masks, said = [np.array([[0, 0, 1, 1]], np.uint8)], [np.array([[0, 0, 0, 1]], np.uint8)]
    found = judged(said, masks, 3)
    assert per_class_iou(found, ("sky", "car", "tree")) == {"sky/iou": 2 / 3, "car/iou": 1 / 2}
    assert per_class_iou(found, ("sky", "sky", "tree")) == {"0/iou": 2 / 3, "1/iou": 1 / 2}


@pytest.mark.parametrize("seed", range(3))
def test_parity_with_mmsegmentation(seed: int) -> None:
    """mIoU, mAcc, aAcc and each class's figure are those of mmsegmentation's IoUMetric on the same maps, exactly."""
    torch, metric = pytest.importorskip("torch"), pytest.importorskip("mmseg.evaluation.metrics.iou_metric").IoUMetric
    said, masks = drawn(seed)
    parts = [
        metric.intersect_and_union(
            torch.from_numpy(one.astype(np.int64)), torch.from_numpy(mask.astype(np.int64)), 6, VOID
        )
        for one, mask in zip(said, masks, strict=True)
    ]
    theirs = metric.total_area_to_metrics(*(sum(part) for part in zip(*parts, strict=True)), metrics=["mIoU"])
    found = values(said, masks, 6)
    assert found["miou"] == pytest.approx(np.nanmean(theirs["IoU"]), abs=1e-7)
    assert found["macc"] == pytest.approx(np.nanmean(theirs["Acc"]), abs=1e-7)
    assert found["aacc"] == pytest.approx(float(theirs["aAcc"]), abs=1e-7)
    own = per_class_iou(judged(said, masks, 6))
    assert own == pytest.approx({f"{c}/iou": v for c, v in enumerate(theirs["IoU"]) if np.isfinite(v)}, abs=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_parity_with_a_confusion_matrix(seed: int) -> None:
    """mIoU, mAcc and aAcc are what scikit-learn's confusion matrix of all pixels together gives, exactly."""
    from sklearn.metrics import confusion_matrix

    said, masks = drawn(seed)
    true, guess = (np.concatenate([one.ravel() for one in maps]) for maps in (masks, said))
    table = confusion_matrix(true[true != VOID], guess[true != VOID], labels=range(6))
    shared, rows, columns = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    present, seen = rows > 0, rows + columns > 0
    found = values(said, masks, 6)
    assert found["miou"] == pytest.approx((shared[seen] / (rows + columns - shared)[seen]).mean(), abs=1e-15)
    assert found["macc"] == pytest.approx((shared[present] / rows[present]).mean(), abs=1e-15)
    assert found["aacc"] == shared.sum() / table.sum()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (50, 3), (60, 90), (201, 150)])
def test_edges_are_what_an_erosion_takes_away(shape: tuple[int, int]) -> None:
    """A class's edge is what eroding its mask with a square, once for every pixel of depth, takes away, as the authors'
    code does it."""
    labels = np.random.default_rng(0).integers(0, 3, (shape[0] // 8 + 1, shape[1] // 8 + 1))
    labels = np.kron(labels, np.ones((8, 8))).astype(np.uint8)[: shape[0], : shape[1]]
    depth = max(1, round(0.02 * float(np.hypot(*shape))))
    expected = np.zeros(shape, bool)
    for label in range(3):
        mask = labels == label
        expected |= mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=depth, border_value=0)
    assert np.array_equal(on_edge(labels), expected)


def test_right_maps_score_one_whatever_they_say_where_nothing_counts() -> None:
    """Where every pixel that counts has its class, every metric is 1, beside pixels that do not too."""
    _, masks = drawn(7)
    said = [np.where(mask == VOID, 2, mask).astype(np.uint8) for mask in masks]
    assert set(values(said, masks, 6).values()) == {1.0}


def test_edges_alone_make_boundary_iou() -> None:
    """A square that is said 1 pixel beside its place: the shared edge over the united edge, both counted by hand."""
    true, said = np.zeros((2, 30, 30), np.uint8)
    true[10:20, 10:20] = said[10:20, 11:21] = 1
    found = judged([said], [true], 2)  # the diagonal is 42.4 pixels, so an edge is 1 pixel deep
    assert (found.true_edge[0, 1], found.said_edge[0, 1]) == (36, 36)
    assert found.shared_edge[0, 1] == 2 * 9
    assert found.true_edge[0, 0] == 30 * 4 - 4 + 12 * 12 - 10 * 10


def test_maps_may_lie_on_disk_and_are_read_in_any_thread() -> None:
    """A spool of maps gives the counts of the maps themselves."""
    said, masks = drawn(1, images=40)
    spool = Spool()
    for one in said:
        spool.append(one)
    assert np.array_equal(judged(spool, masks, 6).shared, judged(said, masks, 6).shared)


def test_intervals_are_bootstrapped_by_image() -> None:
    """The interval holds the value, and what another way of resampling whole images gives for its ends."""
    said, masks = drawn(3, images=30)
    truth = truth_of(masks, 6)
    found = LabelMaps(said).judged(truth)
    value, n, bounds = metrics.get("miou").score(found, truth)
    assert bounds is not None
    assert n == 30
    assert bounds[0] < value < bounds[1]
    assert bounds[2] == "bootstrap"
    generator = np.random.default_rng(1)
    again = []
    for _ in range(400):
        rows = generator.integers(0, 30, 30)
        true, guess, shared = (part[rows].sum(axis=0) for part in (found.true, found.said, found.shared))
        union = (true + guess - shared).astype(float)
        again.append(np.mean(shared[union > 0] / union[union > 0]))
    assert bounds[:2] == pytest.approx(np.quantile(again, [0.025, 0.975]), abs=0.15 * (bounds[1] - bounds[0]))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (np.zeros((2, 3), np.uint8), ["image 0", "(2, 3)", "(2, 2)"]),
        (np.zeros((2, 2), np.int64), ["image 0", "int64", "uint8"]),
        (np.full((2, 2), 3, np.uint8), ["image 0", "label 3", "3 classes"]),
    ],
)
def test_maps_that_are_none_are_refused(said: NDArray[np.uint8], words: list[str]) -> None:
    """A map of another size, of other numbers or with a label beyond the classes names its image."""
    with pytest.raises(DataError) as error:
        judged([said], [np.zeros((2, 2), np.uint8)], 3)
    assert all(word in str(error.value) for word in words)


def test_masks_without_a_pixel_that_counts_are_refused() -> None:
    """Where no pixel counts there is nothing to score."""
    with pytest.raises(DataError, match="no pixel"):
        values([np.zeros((2, 2), np.uint8)], [np.full((2, 2), VOID, np.uint8)], 3)


def test_every_test_image_is_answered() -> None:
    """Fewer maps than masks are an error that counts both."""
    with pytest.raises(DataError, match=r"1 maps .* 2 masks"):
        judged([np.zeros((2, 2), np.uint8)], [np.zeros((2, 2), np.uint8)] * 2, 3)

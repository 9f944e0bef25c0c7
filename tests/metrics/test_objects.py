"""Average precision of objects: COCO's published figures, two evaluators' on random boxes, and cases by hand."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.datasets import coco_objects
from ssl_bench.errors import DataError
from ssl_bench.metrics import objects
from ssl_bench.predictions import Detections, Found, Matches, Truth
from ssl_bench.targets import Objects, Targets, outlines

COCO = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
COCO = (*COCO, "ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")
"""The twelve figures in the order in which COCO's own evaluator prints them."""
NONE: list[int] = []


@dataclasses.dataclass
class Given:
    """Targets that a test made."""

    every: list[Objects]

    def __len__(self) -> int:
        return len(self.every)

    def read(self, index: int) -> Objects:
        return self.every[index]


def truth(every: list[Objects], classes: int) -> Truth:
    none = np.zeros((len(every), 0), dtype=np.int64)
    return Truth({"test": none}, classes, dense=Targets(Given(every), np.arange(len(every))))


def true(boxes: Any, labels: Any, **changes: Any) -> Objects:
    """Return the objects of an image of 100 x 100 pixels."""
    boxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    no = np.zeros(len(boxes), dtype=np.bool_)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return dataclasses.replace(
        Objects((100, 100), boxes, np.array(labels, dtype=np.int64), areas, no, no),
        **{name: np.array(value) for name, value in changes.items()},
    )


def said(boxes: Any, labels: Any, scores: Any) -> Found:
    boxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return Found(boxes, np.array(labels, dtype=np.int64), np.array(scores, dtype=np.float32))


def value(name: str, found: list[Found], every: list[Objects], classes: int = 2) -> float:
    known = truth(every, classes)
    return metrics.get(name).score(Detections(found).judged(known), known)[0]


class Fixtures:
    """COCO's own fixtures: objects of 100 photographs, and what a detector is pretended to find in them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "instances_val2014_100.json"
        content = json.loads(self.path.read_text())
        self.images = sorted(content["images"], key=lambda one: one["id"])
        categories = sorted(one["id"] for one in content["categories"])
        self.classes = {category: label for label, category in enumerate(categories)}
        marked = coco_objects.marked(self.path, self.images, content["annotations"], self.classes, 0.0)
        self.truth = truth([marked.read(i) for i in range(len(marked))], len(self.classes))

    def found(self, kind: str) -> Detections:
        listed: dict[int, list[Any]] = {one["id"]: [] for one in self.images}
        for one in json.loads((self.folder / f"instances_val2014_fake{kind}100_results.json").read_text()):
            listed[one["image_id"]].append(one)
        found = []
        for rows in listed.values():
            boxes = np.array([row.get("bbox", [0, 0, 1, 1]) for row in rows], dtype=np.float64).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            labels = np.array([self.classes[row["category_id"]] for row in rows], dtype=np.int64)
            runs = tuple(row["segmentation"]["counts"].encode() for row in rows if "segmentation" in row)
            found.append(Found(boxes, labels, np.array([row["score"] for row in rows], dtype=np.float32), runs))
        return Detections(found, outlined=kind == "segm")


@pytest.fixture
def fixtures(real_data: Path) -> Fixtures:
    return Fixtures(real_data / "coco-eval-fixtures")


@pytest.mark.data
@pytest.mark.parametrize(("kind", "prefix"), [("bbox", "coco"), ("segm", "coco_mask")])
def test_published_figures(fixtures: Fixtures, kind: str, prefix: str) -> None:
    """All twelve figures of boxes and of outlines that COCO's authors print come out to the last digit."""
    text = (fixtures.folder / "val2014_fake_eval_res.txt").read_text()
    printed = text[text.index(f"type={kind}") :].splitlines()
    expected = [float(line.rpartition("=")[2]) for line in printed if " Average " in line][:12]
    matches = fixtures.found(kind).judged(fixtures.truth)
    found = [metrics.get(f"{prefix}_{name}").score(matches, fixtures.truth)[0] for name in COCO]
    assert [round(one, 3) for one in found] == expected


@pytest.mark.data
@pytest.mark.parametrize(("kind", "prefix"), [("bbox", "coco"), ("segm", "coco_mask")])
def test_parity_with_pycocotools(fixtures: Fixtures, kind: str, prefix: str) -> None:
    """Twelve decimals of the fixtures' figures are pycocotools'."""
    evaluated = pytest.importorskip("pycocotools.cocoeval").COCOeval
    reader = pytest.importorskip("pycocotools.coco").COCO
    results = str(fixtures.folder / f"instances_val2014_fake{kind}100_results.json")
    expected = figures(evaluated, reader, str(fixtures.path), results, kind)
    matches = fixtures.found(kind).judged(fixtures.truth)
    found = [metrics.get(f"{prefix}_{name}").score(matches, fixtures.truth)[0] for name in COCO]
    assert found == pytest.approx(expected, abs=1e-12)


def figures(evaluated: Any, reader: Any, path: Any, results: Any, kind: str) -> list[float]:
    """Return an evaluator's twelve figures."""
    with contextlib.redirect_stdout(io.StringIO()):
        known = reader(path)
        whole = evaluated(known, known.loadRes(results), kind)
        whole.evaluate()
        whole.accumulate()
        whole.summarize()
    return [float(one) for one in whole.stats]


def drawn(seed: int, images: int = 12, classes: int = 3) -> tuple[list[Objects], list[Found]]:
    """Return random objects, crowds among them, and boxes near them, of few scores so that many are equal."""
    generator = np.random.default_rng(seed)
    every, found = [], []
    for image in range(images):
        count = int(generator.integers(0, 9)) * (image > 1)
        corners = generator.integers(0, 150, (count, 2)).astype(np.float64)
        boxes = np.concatenate([corners, corners + generator.integers(4, 130, (count, 2))], axis=1)
        labels = generator.integers(0, classes, count)
        objects = true(boxes, labels, crowd=generator.random(count) < 0.2)
        every.append(dataclasses.replace(objects, size=(300, 300), areas=objects.areas * generator.random(count)))
        near = np.repeat(boxes, 3, axis=0) + generator.integers(-9, 10, (3 * count, 4))
        near = np.concatenate([near, [[0, 0, 40, 40]] * 2])
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        near_labels = np.append(np.repeat(labels, 3), [0, 1])
        found.append(said(near, near_labels, generator.integers(1, 8, len(near)) / 8))
    return every, found


@pytest.mark.parametrize("library", ["pycocotools", "faster_coco_eval"])
@pytest.mark.parametrize("seed", range(3))
def test_parity_on_random_boxes(library: str, seed: int) -> None:
    """Crowds, equal scores, images with nothing in them and areas other than the boxes' count as in both evaluators,
    which say -1 where nothing is to be found."""
    module = pytest.importorskip("faster_coco_eval" if library == "faster_coco_eval" else "pycocotools.cocoeval")
    evaluated = module.COCOeval_faster if library == "faster_coco_eval" else module.COCOeval
    reader = module.COCO if library == "faster_coco_eval" else pytest.importorskip("pycocotools.coco").COCO
    every, found = drawn(seed)
    content: dict[str, Any] = {
        "images": [{"id": i + 1, "width": 300, "height": 300} for i in range(len(every))],
        "categories": [{"id": label + 1, "name": str(label)} for label in range(3)],
        "annotations": [],
    }
    results = []
    for image, (own, one) in enumerate(zip(every, found, strict=True)):
        for box, label, area, crowd in zip(own.boxes, own.labels, own.areas, own.crowd, strict=True):
            row = {"id": len(content["annotations"]) + 1, "image_id": image + 1, "category_id": int(label) + 1}
            row |= {"bbox": [*box[:2], *(box[2:] - box[:2])], "area": float(area), "iscrowd": int(crowd)}
            content["annotations"].append(row)
        for box, label, score in zip(one.boxes, one.labels, one.scores, strict=True):
            row = {"image_id": image + 1, "category_id": int(label) + 1, "score": float(score)}
            results.append(row | {"bbox": [*box[:2], *(box[2:] - box[:2])]})
    known = truth(every, 3)
    matches = Detections(found).judged(known)
    chosen = [metrics.get(f"coco_{name}") for name in COCO]
    mine = [one.score(matches, known)[0] if one.applies(matches, known) else -1.0 for one in chosen]

    def read(_path: Any) -> Any:
        made = reader()
        made.dataset = content
        made.createIndex()
        return made

    assert mine == pytest.approx(figures(evaluated, read, None, results, "bbox"), abs=1e-12)


A, B, C = [10, 10, 30, 30], [50, 50, 70, 70], [10, 60, 30, 80]
FAR = [80, 0, 99, 9]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("voc12_ap50", (1 / 3) * 1 + (1 / 3) * (2 / 3)),  # recall 1/3 at precision 1, 2/3 at 2/3
        ("voc07_ap50", (4 * 1 + 3 * (2 / 3)) / 11),  # recalls 0, 0.1, 0.2, 0.3 and then 0.4, 0.5, 0.6
        ("coco_ap50", (34 * 1 + 33 * (2 / 3)) / 101),
    ],
)
def test_by_hand(name: str, expected: float) -> None:
    """Of three objects the first and third guesses find one each, and the second finds nothing."""
    found = [said([A, FAR], [0, 0], [0.9, 0.8]), said([C], [0], [0.7])]
    assert value(name, found, [true([A, B], [0, 0]), true([C], [0])]) == pytest.approx(expected)


def test_a_second_guess_of_one_object() -> None:
    """A found object is found once: for VOC the second guess is wrong even where another object overlaps enough, for
    COCO it takes that."""
    near = [12, 10, 32, 30]
    found, known = [said([A, A], [0, 0], [0.9, 0.8])], [true([A, near], [0, 0])]
    assert value("voc12_ap50", found, known) == pytest.approx(0.5)
    assert value("coco_ap50", found, known) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["voc12_ap50", "voc07_ap50", "coco_ap50"])
def test_difficult_objects(name: str) -> None:
    """An object marked as difficult need not be found, and finding it counts neither way."""
    known = [true([A, B], [0, 0], difficult=[True, False])]
    assert value(name, [said([A, B], [0, 0], [0.9, 0.8])], known) == pytest.approx(1.0)
    assert value(name, [said([B], [0], [0.8])], known) == pytest.approx(1.0)


@pytest.mark.parametrize(("name", "expected"), [("coco_ap50", 1.0), ("voc12_ap50", 1.0)])
def test_classes_without_an_object(name: str, expected: float) -> None:
    """A class that no test image shows does not count, whatever is found of it."""
    assert value(name, [said([A, B], [0, 1], [0.8, 0.9])], [true([A], [0])]) == expected


def test_voc_bit_by_bit() -> None:
    """VOC's areas of random boxes are those of a loop over images and guesses, at each of three thresholds."""
    every, found = drawn(5)
    every = [dataclasses.replace(one, difficult=one.crowd, crowd=np.zeros_like(one.crowd)) for one in every]
    for end, least in (("50", 0.5), ("75", 0.75)):
        expected = np.mean([loop(every, found, label, least) for label in range(3)])
        assert value(f"voc12_ap{end}", found, every, 3) == pytest.approx(expected, abs=1e-12)


def loop(every: list[Objects], found: list[Found], label: int, least: float) -> float:
    """Return one class's area as VOCevaldet.m and VOCap.m take it, guess by guess."""
    guesses = [
        (-float(score), image, place)
        for image, one in enumerate(found)
        for place, (score, own) in enumerate(zip(one.scores, one.labels, strict=True))
        if own == label
    ]
    taken, right, wrong = set(), [], []
    for _, image, place in sorted(guesses):
        box, known, best = found[image].boxes[place], every[image], (-1.0, -1)
        for number in np.flatnonzero(known.labels == label):
            other = known.boxes[number]
            sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
            shared = sides[0] * sides[1] if (sides > 0).all() else 0.0
            both = (box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - shared
            best = max(best, (shared / both, int(number)), key=lambda pair: pair[0])
        hit = best[0] >= least
        ignored = hit and bool(known.difficult[best[1]])
        right.append(hit and not ignored and (image, best[1]) not in taken)
        wrong.append(not right[-1] and not ignored)
        taken |= {(image, best[1])} if right[-1] else set()
    count = sum(int(((one.labels == label) & ~one.difficult).sum()) for one in every)
    recall = np.concatenate([[0], np.cumsum(right) / count, [1]])
    precision = np.concatenate([[0], np.cumsum(right) / np.maximum(np.cumsum(right) + np.cumsum(wrong), 1), [0]])
    for place in range(len(precision) - 1, 0, -1):
        precision[place - 1] = max(precision[place - 1], precision[place])
    return float((np.diff(recall) * precision[1:]).sum())


def test_rules_of_lvis() -> None:
    """Guesses of classes that nobody looked for do not count, of absent ones they are wrong, and beside the objects of
    a class that is not marked throughout they count neither way."""
    known = true([A], [0], absent=[1], partial=NONE)
    other = true([C], [2], absent=NONE, partial=[2])
    found = [said([A, B, B], [0, 1, 3], [0.7, 0.9, 0.9]), said([B, C], [2, 2], [0.9, 0.8])]
    assert value("lvis_ap50", found, [known, other], 4) == pytest.approx(1.0)
    matches = Detections(found).judged(truth([known, other], 4))
    assert sorted(matches.whole.found_label.tolist()) == [0, 1, 2, 2]
    assert not metrics.get("coco_ap").applies(matches, truth([known, other], 4))
    assert value("lvis_ap50", [said([A, B], [0, 0], [0.7, 0.9]), found[1]], [known, other], 4) == pytest.approx(0.75)


def test_resampled_images() -> None:
    """What a metric gives for counts of images is what it gives for the images written down so often."""
    every, found = drawn(3)
    found = [dataclasses.replace(one, scores=one.scores + np.arange(len(one.scores)) / 1e5) for one in found]
    counts = np.random.default_rng(0).integers(0, 3, (4, len(every))).astype(np.float64)
    known = truth(every, 3)
    matches = Detections(found).judged(known)
    for name in ("coco_ap", "voc07_ap50", "voc12_ap75", "coco_ar10", "coco_ap_small"):
        weighted = metrics.get(name).weighted
        assert weighted is not None
        for row, mine in zip(counts, weighted(matches, known, counts), strict=True):
            chosen = np.repeat(np.arange(len(every)), row.astype(np.int64))
            again = Matches(tuple(matches.images[i] for i in chosen))
            one = weighted(again, known, np.ones((1, len(chosen))))[0]
            assert mine == pytest.approx(one, abs=1e-12)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval is the same however many resamples are held in memory at once."""
    every, found = drawn(4)
    known = truth(every, 3)
    matches = Detections(found).judged(known)
    whole = metrics.get("coco_ap50").score(matches, known)
    monkeypatch.setattr(objects, "BLOCK", 10_000)
    assert metrics.get("coco_ap50").score(matches, known) == whole
    low, high = whole[2][:2]
    assert low < whole[0] < high


def test_intervals_are_centred() -> None:
    """Resamples of average precision lie above its value, and the interval around it."""
    every, found = drawn(6, images=40)
    known = truth(every, 3)
    matches = Detections(found).judged(known)
    metric = metrics.get("coco_ap")
    value, _, bounds = metric.score(matches, known)
    assert metric.weighted is not None
    assert bounds is not None
    counts = np.random.default_rng(0).multinomial(40, np.full(40, 1 / 40), 200).astype(np.float64)
    assert np.median(metric.weighted(matches, known, counts)) > value
    assert bounds[2] == "centred bootstrap"
    assert 0.3 < (value - bounds[0]) / (bounds[1] - bounds[0]) < 0.7


def test_nothing_found_and_nothing_to_find() -> None:
    """Where nothing is found the score is 0; where nothing is to be found no metric applies."""
    nothing = [said(NONE, NONE, NONE)]
    assert value("coco_ap", nothing, [true([A], [0])]) == 0
    empty = truth([true(NONE, NONE)], 2)
    matches = Detections(nothing).judged(empty)
    assert not any(metric.applies(matches, empty) for metric in metrics.of_kind("detections"))


def test_other_numbers_of_images_and_outlines() -> None:
    """Objects of too few images, and fewer outlines than boxes, are refused."""
    with pytest.raises(DataError, match="objects of 1 images came back for the objects of 2 test images"):
        Detections([said([A], [0], [0.5])]).judged(truth([true([A], [0])] * 2, 2))
    with pytest.raises(ValueError, match="0 outlines and 1 boxes"):
        Detections([said([A], [0], [0.5])], outlined=True).judged(truth([true([A], [0])], 2))


def test_outlines_beside_boxes() -> None:
    """Outlines are compared pixel by pixel: half a box that is said whole overlaps by a half."""
    half, whole = np.zeros((100, 100), dtype=np.bool_), np.zeros((100, 100), dtype=np.bool_)
    half[10:20, 10:30] = whole[10:30, 10:30] = True
    known = dataclasses.replace(true([A], [0]), outlines=(outlines.encode(half),))
    found = dataclasses.replace(said([A], [0], [0.5]), outlines=(outlines.encode(whole),))
    judged = Detections([found], outlined=True).judged(truth([known], 2))
    assert metrics.get("coco_mask_ap50").score(judged, truth([known], 2))[0] == 1.0
    assert metrics.get("coco_mask_ap75").score(judged, truth([known], 2))[0] == 0.0
    assert metrics.get("coco_ap75").score(judged, truth([known], 2))[0] == 1.0

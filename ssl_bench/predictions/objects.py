"""Objects in every test image, and what comes of comparing them with the true ones, image by image."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.predictions import matching
from ssl_bench.predictions.base import Ints, Predictions, Truth
from ssl_bench.predictions.matching import Known
from ssl_bench.targets import Objects, outlines

Floats = NDArray[np.float64]
SURE = 0.5
"""Of the highest score of an image: of objects that are shown to a person, the least."""
MOST_SHOWN = 30


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """The objects that were found in an image."""

    boxes: Floats  # (objects, 4): left, top, right, bottom, in pixels of the image as its source keeps it
    labels: Ints  # (objects,)
    scores: NDArray[np.float32]  # (objects,): higher is surer
    outlines: tuple[bytes, ...] = ()
    """COCO's compressed run lengths of every object's mask, at the image's size; empty where boxes alone are said."""


@dataclasses.dataclass(frozen=True, eq=False)
class Compared:
    """The objects of an image, found and true, class by class; ways of counting are `matching.WAYS`, and where there
    are outlines those of `matching.AREAS` again."""

    found_label: Ints  # (found,)
    found_score: NDArray[np.float32]  # (found,): within a class from the highest down
    found_box: NDArray[np.float32]  # (found, 4)
    found_right: Ints  # (found, ways): the thresholds at which it is a true one, packed
    found_unused: Ints  # (found, ways): the thresholds at which it counts neither way, packed
    true_label: Ints  # (true,)
    true_box: NDArray[np.float32]  # (true, 4)
    true_unused: Ints  # (true, ways): 1 where it need not be found


@dataclasses.dataclass(frozen=True, eq=False)
class Detections(Predictions):
    """Objects in every test image."""

    kind: ClassVar[str] = "detections"

    found: Sequence[Found]
    """In the split's order."""
    outlined: bool = False
    """True: their outlines are said too."""

    @property
    def asked(self) -> int:
        return len(self.found)

    def judged(self, truth: Truth) -> Matches:
        """Return what comes of comparing; raise DataError where objects are not said of every test image."""
        if truth.dense is None or len(truth.dense) != len(self.found):
            wanted = "no" if truth.dense is None else len(truth.dense)
            raise DataError(f"objects of {len(self.found)} images came back for the objects of {wanted} test images")
        federated, images = False, []
        for index, one in enumerate(self.found):
            true = truth.dense[index]
            federated |= true.absent is not None
            images.append(compared(one, true, self.outlined))
        return Matches(tuple(images), federated)

    def of_image(self, index: int, size: tuple[int, int]) -> Objects:
        """Return the objects whose score is half of the image's highest, or more, but at most 30, the surest first."""
        one = self.found[index]
        order = np.argsort(-one.scores, kind="stable")
        sure = order[one.scores[order] >= SURE * one.scores.max(initial=0.0)][:MOST_SHOWN]
        sides, no = one.boxes[sure, 2:] - one.boxes[sure, :2], np.zeros(len(sure), dtype=np.bool_)
        outlined = tuple(one.outlines[i] for i in sure) if one.outlines else ()
        return Objects(size, one.boxes[sure], one.labels[sure], sides.prod(axis=1), no, no, outlined)

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return self.judged(truth).table(ids, truth)


@dataclasses.dataclass(frozen=True, eq=False)
class Matches(Predictions):
    """Which of the objects that were found in each test image are true ones; what `Detections` are scored by."""

    kind: ClassVar[str] = "detections"

    images: tuple[Compared, ...]
    federated: bool = False
    """True: by LVIS's rules."""

    @property
    def asked(self) -> int:
        return len(self.images)

    @functools.cached_property
    def whole(self) -> Compared:
        """The objects of all images, image by image."""
        return joined(self.images)

    @functools.cached_property
    def found_images(self) -> Ints:
        """The image of each found object of `whole`: (found,)."""
        return np.repeat(np.arange(len(self.images)), [len(one.found_label) for one in self.images])

    @functools.cached_property
    def true_images(self) -> Ints:
        """The image of each true object of `whole`: (true,)."""
        return np.repeat(np.arange(len(self.images)), [len(one.true_label) for one in self.images])

    @functools.cached_property
    def places(self) -> Ints:
        """The place from 0 of each found object of `whole` among those of its class and image: (found,)."""
        sizes = [np.unique(one.found_label, return_counts=True)[1] for one in self.images]
        return np.concatenate([np.arange(size) for image in sizes for size in image] or [np.zeros(0, dtype=np.int64)])

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        columns = {
            field.name: [getattr(one, field.name).ravel() for one in self.images]
            for field in dataclasses.fields(Compared)
        }
        return {"sample_id": list(ids)} | columns


def compared(found: Found, true: Objects, outlined: bool = False) -> Compared:
    """Return what comes of comparing the objects of an image; of one class the 100 of highest scores are looked at.

    By LVIS's rules, where `true` says which classes are absent, the 300 of highest scores are, and those of classes
    that were not looked for are left out. Where `outlined` is true outlines are compared too, and ValueError is raised
    where there is not one per box.
    """
    for said in (found, true) if outlined else ():
        if len(said.outlines) != len(said.boxes):
            raise ValueError(f"{len(said.outlines)} outlines and {len(said.boxes)} boxes")
    order = np.argsort(-found.scores, kind="stable")
    asked = np.union1d(found.labels, true.labels)
    if true.absent is not None:
        order = order[: matching.MOST_FEDERATED]
        asked = np.union1d(true.labels, true.absent)
    parts = [_of_class(found, order[found.labels[order] == label], true, int(label), outlined) for label in asked]
    return joined(parts) if parts else _of_class(found, order[:0], true, -1, outlined)


def joined(parts: Sequence[Compared]) -> Compared:
    """Return the objects of several images or classes in one."""
    names = [field.name for field in dataclasses.fields(Compared)]
    return Compared(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _of_class(found: Found, chosen: Ints, true: Objects, label: int, outlined: bool) -> Compared:
    """Compare the objects of one class; `chosen` are those that were found, from the highest score down."""
    if true.absent is None:
        chosen = chosen[: matching.MOST]
    theirs = np.flatnonzero(true.labels == label)
    partial = true.partial is not None and label in true.partial
    known = Known(true.areas[theirs], true.crowd[theirs], true.difficult[theirs], partial)
    boxes, true_boxes = found.boxes[chosen], true.boxes[theirs]
    overlaps = matching.box_overlaps(boxes, true_boxes, known.crowd)
    right, unused = matching.match(overlaps, matching.box_areas(boxes), known)
    voc = matching.match_voc(matching.box_overlaps(boxes, true_boxes, np.zeros_like(known.crowd)), known)
    ways = [(right, unused, known.ignored()), (voc[0][:, None], voc[1][:, None], known.uncounted[:, None])]
    if outlined:
        masks, true_masks = ([said.outlines[i] for i in which] for said, which in ((found, chosen), (true, theirs)))
        overlaps = outlines.overlaps(masks, true_masks, known.crowd)
        ways.append((*matching.match(overlaps, outlines.areas(masks), known), known.ignored()))
    rights, unuseds, ignored = (np.concatenate(column, axis=1) for column in zip(*ways, strict=True))
    return Compared(
        found_label=np.full(len(chosen), label, dtype=np.int64),
        found_score=found.scores[chosen].astype(np.float32),
        found_box=boxes.astype(np.float32),
        found_right=matching.packed(rights),
        found_unused=matching.packed(unuseds),
        true_label=np.full(len(theirs), label, dtype=np.int64),
        true_box=true_boxes.astype(np.float32),
        true_unused=ignored.astype(np.int64),
    )

"""Which found objects are true ones, image by image: what COCO, LVIS and PASCAL VOC count before they average.

An object is found where it overlaps a true one of its class by a threshold or more, 0.5, 0.55, … 0.95. Found objects
choose in the order of their scores; each true one can be chosen once.

    COCO, LVIS   the true object of largest overlap that is still free and counts; if none, one that does not count.
                 What has such a one, or has none and lies outside the range of areas, counts neither way. Of a crowd
                 the overlap is the share of the found object that lies in it, and many may choose it.
                 (pycocotools cocoeval.py evaluateImg; lvis-api eval.py evaluate_img)
    VOC          the true object of largest overlap, free or not: where it is taken, the found one is wrong, and where
                 it is difficult, it counts neither way. (VOCdevkit VOCevaldet.m)
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Overlaps from which on an object is found, as pycocotools spells them."""
AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""COCO's ranges of areas in square pixels, both ends inside."""
WAYS = (*AREAS, "voc")
"""Ways of counting boxes; of outlines there are those of `AREAS`."""
MOST = 100
"""Objects of one class in one image that are looked at, those of the highest scores."""
MOST_FEDERATED = 300
"""Objects of all classes in one image that LVIS looks at."""


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
    """What is true of one class in one image."""

    areas: Floats  # (true,): in square pixels
    crowd: Bools  # (true,)
    difficult: Bools  # (true,)
    partial: bool = False
    """Not every object of the class was marked, so that what is found beside them counts neither way."""

    @property
    def uncounted(self) -> Bools:
        """Which objects count in no range of areas: (true,)."""
        uncounted: Bools = self.crowd | self.difficult
        return uncounted

    def ignored(self) -> Bools:
        """Tell which true objects do not count: (true, areas)."""
        low, high = np.array(list(AREAS.values())).T
        outside: Bools = (self.areas[:, None] < low) | (self.areas[:, None] > high)
        return outside | self.uncounted[:, None]


def box_overlaps(found: Floats, true: Floats, crowd: Bools) -> Floats:
    """Return the overlap of boxes (left, top, right, bottom) with each other: (found, true).

    It is the shared area by that of both, or of the found box where the true one is a crowd.
    """
    sides = np.minimum(found[:, None, 2:], true[None, :, 2:]) - np.maximum(found[:, None, :2], true[None, :, :2])
    shared = np.where((sides > 0).all(axis=2), sides[..., 0] * sides[..., 1], 0.0)
    own = box_areas(found)[:, None]
    return shared / np.maximum(np.where(crowd, own, own + box_areas(true) - shared), 1e-300)


def box_areas(boxes: Floats) -> Floats:
    """Return the areas of boxes (…, 4) in square pixels."""
    areas: Floats = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return areas


def match(overlaps: Floats, found_areas: Floats, known: Known) -> tuple[Bools, Bools]:
    """Return which found objects, from the highest score down, are true ones, and which count neither way, by COCO's
    rules: (found, areas, thresholds) each."""
    least = np.minimum(THRESHOLDS, 1 - 1e-10)
    ignored = known.ignored()
    counted, uncounted = ~ignored.T[:, None, :], ignored.T[:, None, :]  # (areas, 1, true)
    taken = np.zeros((len(AREAS), len(least), len(known.areas)), dtype=np.bool_)
    hits = np.zeros((len(found_areas), *taken.shape[:2]), dtype=np.bool_)
    low, high = np.array(list(AREAS.values())).T
    outside = (found_areas[:, None] < low) | (found_areas[:, None] > high) | known.partial
    neither = np.repeat(outside[:, :, None], len(least), axis=2)
    for one in np.flatnonzero((overlaps >= least[0]).any(axis=1)) if len(known.areas) else ():
        free = (~taken | known.crowd) & (overlaps[one] >= least[:, None])
        best = free & counted
        best = np.where(best.any(axis=2, keepdims=True), best, free & uncounted)
        chosen = _last_largest(np.where(best, overlaps[one], -1.0))
        some = best.any(axis=2)
        unused = np.take_along_axis(np.broadcast_to(uncounted, best.shape), chosen[..., None], axis=2)[..., 0]
        hits[one] = some & ~unused
        neither[one] = np.where(some, unused, neither[one])
        taken |= some[..., None] & (np.arange(len(known.areas)) == chosen[..., None])
    return hits, neither & ~hits


def _last_largest(values: Floats) -> NDArray[np.int64]:
    """Return where the largest values of the last axis are; of equal ones the last, as pycocotools does."""
    last: NDArray[np.int64] = values.shape[-1] - 1 - np.argmax(values[..., ::-1], axis=-1)
    return last


def match_voc(overlaps: Floats, known: Known) -> tuple[Bools, Bools]:
    """Return which found objects, from the highest score down, are true ones, and which count neither way, by VOC's
    rules: (found, thresholds) each."""
    shape = (len(overlaps), len(THRESHOLDS))
    hits, neither = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    if not len(known.areas):
        return hits, neither
    taken = np.zeros((len(THRESHOLDS), len(known.areas)), dtype=np.bool_)
    for one, best in enumerate(overlaps.argmax(axis=1)):
        enough = overlaps[one, best] >= THRESHOLDS
        if known.uncounted[best]:
            neither[one] = enough
            continue
        hits[one] = enough & ~taken[:, best]
        taken[:, best] |= enough
    return hits, neither


def packed(flags: Bools) -> NDArray[np.int64]:
    """Return a number for the flags of all thresholds: (…, thresholds) to (…,); bit i is threshold i."""
    return flags @ (1 << np.arange(len(THRESHOLDS), dtype=np.int64))


def unpacked(numbers: NDArray[np.int64]) -> Bools:
    """Return the flags of all thresholds: (…,) to (…, thresholds)."""
    flags: Bools = (numbers[..., None] >> np.arange(len(THRESHOLDS))) & 1 > 0
    return flags

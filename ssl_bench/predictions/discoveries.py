"""One box of an object in every test image, found without labels, and how far it is a true one's."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.predictions.base import Ints, Predictions, Truth
from ssl_bench.targets import Objects


@dataclasses.dataclass(frozen=True, eq=False)
class Discoveries(Predictions):
    """A box in every test image."""

    kind: ClassVar[str] = "boxes"

    boxes: NDArray[np.float64]  # (images, 4): left, top, right, bottom; right and bottom are the first outside

    @property
    def asked(self) -> int:
        return len(self.boxes)

    def of_image(self, index: int, size: tuple[int, int]) -> Objects:
        box, no = self.boxes[index : index + 1], np.zeros(1, dtype=np.bool_)
        return Objects(size, box, np.zeros(1, dtype=np.int64), (box[:, 2:] - box[:, :2]).prod(axis=1), no, no)

    def judged(self, truth: Truth) -> DiscoveryOverlaps:
        """Return each box's greatest overlap with an object of its image, of whatever class."""
        if truth.dense is None or len(truth.dense) != len(self.boxes):
            raise DataError(f"{len(self.boxes)} boxes came back for {len(truth.targets)} test images with objects")
        known = [truth.dense[position].boxes for position in range(len(self.boxes))]
        overlaps = [overlap(box, true).max(initial=0.0) for box, true in zip(self.boxes, known, strict=True)]
        return DiscoveryOverlaps(np.array([len(true) for true in known]), np.array(overlaps, dtype=np.float64))

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return self.judged(truth).table(ids, truth)


@dataclasses.dataclass(frozen=True, eq=False)
class DiscoveryOverlaps(Predictions):
    """What came of comparing boxes: a row for every test image."""

    kind: ClassVar[str] = "discoveries"

    objects: Ints  # (images,): how many it shows; an image without any counts nowhere
    overlaps: NDArray[np.float64]  # (images,): intersection over union with the object that fits best

    @property
    def asked(self) -> int:
        return len(self.objects)

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return {"sample_id": list(ids), "objects": self.objects, "best_overlap": self.overlaps}


def overlap(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over the union of a box (4,) with others (boxes, 4)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = sides.clip(0).prod(axis=1)
    areas = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1)
    found: NDArray[np.float64] = shared / (areas - shared)
    return found

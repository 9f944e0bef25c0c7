"""A class for every pixel of every test image, and the pixels that agree with its mask, counted image by image.

An edge is what Boundary IoU (Cheng et al., CVPR 2021) compares: the pixels of a class no farther than 2 % of the
image's diagonal, in rows and in columns, from a pixel that is not of it, or from the outside. Pixels that count for no
class are taken out of both maps before edges are sought, so that a map that is right wherever it is asked scores 1.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.predictions.base import Ints, Predictions, Truth
from ssl_bench.targets import VOID, Mask, Targets

EDGE = 0.02
"""Of an image's diagonal: how deep an edge is, the default of the paper's own code (bowenc0221/boundary-iou-api)."""


@dataclasses.dataclass(frozen=True, eq=False)
class LabelMaps(Predictions):
    """A class for every pixel of every test image, at the image's own size."""

    kind: ClassVar[str] = "segmentation"

    maps: Sequence[NDArray[np.uint8]]  # (height, width) each: 0 … classes - 1; a `Spool` keeps them on disk

    @property
    def asked(self) -> int:
        return len(self.maps)

    def judged(self, truth: Truth) -> Overlaps:
        """Return the pixels that agree with the masks; raise DataError, naming the image, for a map that is none."""
        if truth.dense is None or len(truth.dense) != len(self.maps):
            wanted = "no" if truth.dense is None else len(truth.dense)
            raise DataError(f"{len(self.maps)} maps of classes came back for {wanted} masks of test images")
        masks = truth.dense
        names = truth.ids.get("test", ())

        def counts(index: int) -> NDArray[np.int64]:
            where = names[index] if names else f"test image {index}"
            return overlaps(self.maps[index], masks[index].labels, truth.classes, where)

        with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            found = np.stack(list(pool.map(counts, range(len(self.maps)))), axis=1)
        return Overlaps(*found)

    def of_image(self, index: int, size: tuple[int, int]) -> Mask:
        return Mask(self.maps[index])

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return self.judged(truth).table(ids, truth)


@dataclasses.dataclass(frozen=True, eq=False)
class Overlaps(Predictions):
    """For every test image and class the pixels that are of it, are said to be, and both: (images, classes) each.

    Pixels whose mask says that they count for no class are in none of them.
    """

    kind: ClassVar[str] = "segmentation"

    true: Ints
    said: Ints
    shared: Ints
    true_edge: Ints
    """As the three above, of edges."""
    said_edge: Ints
    shared_edge: Ints

    @property
    def asked(self) -> int:
        return len(self.true)

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return {"sample_id": list(ids)} | {f"{name}_pixels": counts for name, counts in vars(self).items()}


def true_pixels(masks: Targets, classes: int) -> Ints:
    """Return how many pixels of each image are of each class (images, classes)."""
    counts = [np.bincount(masks[i].labels.ravel(), minlength=VOID + 1)[:classes] for i in range(len(masks))]
    return np.stack(counts).astype(np.int64)


def overlaps(said: NDArray[np.uint8], true: NDArray[np.uint8], classes: int, where: str = "") -> NDArray[np.int64]:
    """Return the counts of one image, (6, classes), in the order of the fields of `Overlaps`.

    Both maps are (height, width); raises DataError naming `where` for a map of another size, or with a label beyond the
    classes.
    """
    if said.shape != true.shape or said.dtype != np.uint8:
        raise DataError(f"the map of {where} is {said.dtype}{said.shape}, but its mask is uint8{true.shape}")
    counted = true != VOID
    if int(said[counted].max(initial=0)) >= classes:
        raise DataError(f"the map of {where} has the label {said[counted].max()}, beyond the {classes} classes")
    said = np.where(counted, said, np.uint8(VOID))
    maps = true, said, np.where(said == true, true, np.uint8(VOID))
    edges = on_edge(true), on_edge(said)
    inner = (*(np.where(edge, one, np.uint8(VOID)) for edge, one in zip(edges, maps, strict=False)),)
    found = *maps, *inner, np.where(edges[0] & edges[1], maps[2], np.uint8(VOID))
    return np.stack([np.bincount(one.ravel(), minlength=VOID + 1)[:classes] for one in found])


def on_edge(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell of every pixel (height, width) whether another class, or the outside, is within an edge's depth of it."""
    depth = max(1, round(EDGE * math.sqrt(labels.shape[0] ** 2 + labels.shape[1] ** 2)))
    outside = np.pad(labels, depth, constant_values=VOID)
    edge: NDArray[np.bool_] = _extreme(outside, 2 * depth + 1, np.maximum) != _extreme(
        outside, 2 * depth + 1, np.minimum
    )
    return edge


def _extreme(labels: NDArray[np.uint8], width: int, of: np.ufunc) -> NDArray[np.uint8]:
    """Return the largest, or least, label in every square of `width` pixels, by doubling what one pixel answers for."""
    for _ in range(2):
        reach = 1
        while 2 * reach <= width:
            labels = of(labels[:-reach], labels[reach:])
            reach *= 2
        if reach < width:
            labels = of(labels[: reach - width], labels[width - reach :])
        labels = labels.T
    return labels

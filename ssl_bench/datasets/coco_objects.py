"""The objects of COCO's annotations, image by image: boxes, areas, crowds and outlines, and what LVIS says besides.

A box is left, top, width and height. An outline is a list of polygons, or run lengths as a list or as COCO's text. LVIS
says of an image which classes were looked for in vain and which may not be marked throughout (Gupta et al., CVPR 2019).
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.targets import Objects, outlines

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Marked:
    """The objects of images by position; outlines are drawn when they are read."""

    path: Path
    """The annotations, for messages."""
    sizes: NDArray[np.int64]  # (images, 2): height and width
    starts: NDArray[np.int64]  # (images + 1,): the first object of each image, and the number of all
    ids: NDArray[np.int64]  # (objects,)
    boxes: NDArray[np.float64]  # (objects, 4): left, top, right, bottom
    labels: NDArray[np.int64]  # (objects,)
    areas: NDArray[np.float64]  # (objects,)
    crowd: NDArray[np.bool_]  # (objects,)
    drawn: tuple[bytes, ...]
    """Of each image, the outlines of its objects as packed JSON; empty where objects have none."""
    absent: tuple[NDArray[np.int64], ...] = ()
    """Of each image, the classes that were looked for in vain; empty where all were looked for."""
    partial: tuple[NDArray[np.int64], ...] = ()
    """Of each image, the classes that may not be marked throughout."""

    def __len__(self) -> int:
        return len(self.sizes)

    def read(self, index: int) -> Objects:
        """Return the objects of image `index`; raise DataError, naming the annotation, for an outline that is none."""
        own = slice(self.starts[index], self.starts[index + 1])
        size = (int(self.sizes[index, 0]), int(self.sizes[index, 1]))
        shapes = json.loads(zlib.decompress(self.drawn[index])) if self.drawn else []
        runs = [self._outline(*pair, size) for pair in zip(shapes, self.ids[own].tolist(), strict=bool(self.drawn))]
        return Objects(
            size,
            self.boxes[own],
            self.labels[own],
            self.areas[own],
            self.crowd[own],
            np.zeros(own.stop - own.start, dtype=np.bool_),
            tuple(runs),
            self.absent[index] if self.absent else None,
            self.partial[index] if self.partial else None,
        )

    def _outline(self, shape: Any, number: int, size: tuple[int, int]) -> bytes:
        where = f"{self.path}: the annotation {number}"
        try:
            runs = _runs(shape, size)
            covered = int(outlines.lengths(runs).sum())
        except (DataError, TypeError, ValueError, KeyError) as error:
            raise DataError(f"{where} has a segmentation that is neither polygons nor runs: {error}") from error
        if covered != size[0] * size[1]:
            raise DataError(f"{where} has runs of {covered} pixels, but its image has {size[1]}x{size[0]}")
        return runs


def _runs(shape: Any, size: tuple[int, int]) -> bytes:
    """Return COCO's text of an outline; raise DataError, TypeError, ValueError or KeyError for what is none."""
    if isinstance(shape, dict):
        counts = shape["counts"]
        return counts.encode() if isinstance(counts, str) else outlines.compress(np.array(counts, dtype=np.int64))
    parts = []
    for corners in shape:
        if len(corners) < 6 or len(corners) % 2:
            raise ValueError(f"a polygon of {len(corners)} numbers")
        parts.append(outlines.polygon(np.array(corners, dtype=np.float64).reshape(-1, 2), size))
    if len(parts) == 1:
        return parts[0]
    whole = np.zeros(size, dtype=np.bool_)
    for part in parts:
        whole |= outlines.decode(part, size)
    return outlines.encode(whole)


def marked(
    path: Path, images: Sequence[Row], annotations: Sequence[Row], classes: Mapping[int, int], least: float
) -> Marked:
    """Return the objects of `images`, in that order; `classes` are the labels by category.

    Objects narrower or lower than `least` pixels, if that is above 0, are left out. Raises DataError, naming the
    annotation, for one of an unknown image or category, with a box without area or outside its image, or without an
    outline where others have one.
    """
    places = {one["id"]: place for place, one in enumerate(images)}
    for one in annotations:
        check_known(one, places, classes, path)
    kept = [one for one in annotations if not least or min(one["bbox"][2:]) >= least]
    kept = sorted(kept, key=lambda one: places[one["image_id"]])  # stable: within an image as the file has them
    of = np.array([places[one["image_id"]] for one in kept], dtype=np.int64)
    sizes = np.array([_size(one, path) for one in images], dtype=np.int64).reshape(-1, 2)
    boxes = np.array([one["bbox"] for one in kept], dtype=np.float64).reshape(-1, 4)
    _check_boxes(boxes, sizes[of], kept, path)
    starts = np.searchsorted(of, np.arange(len(images) + 1))
    federated = any("neg_category_ids" in one for one in images)
    return Marked(
        path,
        sizes,
        starts,
        np.array([one["id"] for one in kept], dtype=np.int64),
        np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
        np.array([classes[one["category_id"]] for one in kept], dtype=np.int64),
        np.array([one.get("area", box[2] * box[3]) for one, box in zip(kept, boxes, strict=True)], dtype=np.float64),
        np.array([bool(one.get("iscrowd", 0)) for one in kept], dtype=np.bool_),
        _drawn(kept, starts, path),
        _listed(images, "neg_category_ids", classes) if federated else (),
        _listed(images, "not_exhaustive_category_ids", classes) if federated else (),
    )


def check_known(one: Row, images: Mapping[int, int], categories: Mapping[int, int], path: Path) -> None:
    """Raise DataError for an annotation of an unknown image or category."""
    for key, known in (("image_id", images), ("category_id", categories)):
        if one[key] not in known:
            raise DataError(f"{path}: the annotation {one['id']} has the unknown {key} {one[key]!r}; correct the file")


def _size(one: Row, path: Path) -> tuple[int, int]:
    sides = one.get("height"), one.get("width")
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise DataError(f"{path}: the image {one['id']} has no height and width in whole pixels; add them")
    return sides  # type: ignore[return-value]


def _check_boxes(boxes: NDArray[np.float64], sizes: NDArray[np.int64], kept: Sequence[Row], path: Path) -> None:
    """Raise DataError for the first box that is not finite, has no area or lies outside its image."""
    whole = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    inside = (boxes[:, :2] < sizes[:, ::-1]).all(axis=1) & (boxes[:, :2] + boxes[:, 2:] > 0).all(axis=1)
    for good, what in (
        (whole, "which has no area; correct it, or let data.least = 0.01 leave such objects out"),
        (inside, "which lies outside its image; a box is left, top, width and height"),
    ):
        if not good.all():
            one = kept[int(np.argmin(good))]
            raise DataError(f"{path}: the annotation {one['id']} has the box {one['bbox']}, {what}")


def _drawn(kept: Sequence[Row], starts: NDArray[np.int64], path: Path) -> tuple[bytes, ...]:
    """Return every image's outlines, packed; nothing where no object has one."""
    if not any(one.get("segmentation") for one in kept):
        return ()
    for one in kept:
        if not one.get("segmentation"):
            raise DataError(
                f"{path}: the annotation {one['id']} has no segmentation, but others have one; give all, or none"
            )
    return tuple(
        zlib.compress(json.dumps([one["segmentation"] for one in kept[start:stop]]).encode(), 1)
        for start, stop in itertools.pairwise(starts.tolist())
    )


def _listed(images: Sequence[Row], key: str, classes: Mapping[int, int]) -> tuple[NDArray[np.int64], ...]:
    return tuple(np.array(sorted(classes[category] for category in one.get(key, ())), dtype=np.int64) for one in images)

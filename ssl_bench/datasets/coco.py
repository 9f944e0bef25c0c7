"""COCO's annotations: a JSON file of images, objects and categories per split; any number of categories may hold.

A category holds of an image where one of its objects has an area above 0 and a box of more than one pixel each way; a
crowd is an object too. That is how VISSL makes image labels of COCO (extra_scripts/datasets/create_coco_data_files.py).
With `labels = "boxes"` there are the objects themselves, for tasks of detection; see `coco_objects`.
The JSON is read whole: 500 MB, as large as train2017's, take up to half a minute and 3 GB of memory.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import coco_objects, containers, splits
from ssl_bench.datasets.base import ImageSource, Split
from ssl_bench.errors import DataError


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a split lies."""

    images: str | tuple[str, ...]
    """The folder or archive of its images, relative to the data folder, or several."""
    annotations: str
    """Its JSON file, relative to the data folder."""
    inside: str = ""
    """Folder within `images` that file names begin in, such as "train2017" in train2017.zip."""

    @property
    def folders(self) -> tuple[str, ...]:
        """All folders and archives of its images."""
        return (self.images,) if isinstance(self.images, str) else self.images


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    splits: Mapping[str, Place]
    """Split name to where it lies."""
    labels: Literal["categories", "boxes"] = "categories"
    """Which categories are in an image, or the objects themselves, images being ordered by id, as pycocotools orders
    those of equal scores."""
    least: float = 0.0
    """With "boxes": objects of fewer pixels than this in width or height are left out; 0: those of none are refused."""


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_number, value))


def _text(value: Any) -> bool:
    return isinstance(value, str)


WANTED: dict[str, dict[str, Callable[[Any], bool]]] = {
    "images": {"id": _whole, "file_name": _text},
    "categories": {"id": _whole, "name": _text},
    "annotations": {"id": _whole, "image_id": _whole, "category_id": _whole, "bbox": _box, "area": _number},
}
"""The lists that are read of the file, their fields, and what each must be."""
OPTIONAL = {"boxes": ("file_name", "area")}
"""Fields that may lack: LVIS names images by address, and the area of a box is known."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return annotations and archives, or every file of the folders; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    images = dict.fromkeys(root / folder for place in chosen.splits.values() for folder in place.folders)
    return *(root / place.annotations for place in chosen.splits.values()), *images


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits in the order of their images; an id is the file's name, classes are the categories by id.

    Labels are (samples, classes) of 1 and 0. Raises DataError for a damaged file, for objects of unknown images or
    categories, for splits of other categories, and for images that are not there or named twice.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    found_splits: dict[str, Split] = {}
    for split, place in chosen.splits.items():
        path = root / place.annotations
        found = _read(path, OPTIONAL.get(chosen.labels, ()))
        if chosen.labels == "boxes":
            found["images"].sort(key=lambda one: one["id"])
        names = _unique([_name(one, path) for one in found["images"]], "the file", path)
        categories = _categories(found, path)
        classes = tuple(str(one["name"]) for one in categories)
        for other, known in found_splits.items():
            if known.class_names != classes:
                raise DataError(
                    f"{path} has other categories than {chosen.splits[other].annotations}; name files of one set"
                )
        source, rows = _images(place, names, root)
        if chosen.labels == "boxes":
            labels = {one["id"]: label for label, one in enumerate(categories)}
            images = [found["images"][i] for i in np.argsort(rows)]
            truth = coco_objects.marked(path, images, found["annotations"], labels, chosen.least)
            held = np.zeros((len(names), 0), dtype=np.int64)
        else:
            held, truth = _labels(found, categories, path), None
        found_splits[split] = Split(source, rows, tuple(names), held, classes, truth)
    return found_splits


def _name(one: Mapping[str, Any], path: Path) -> str:
    """Return an image's file name; LVIS has it in the address, behind the name of COCO's folder."""
    if "file_name" in one:
        return str(one["file_name"])
    if not isinstance(address := one.get("coco_url"), str):
        raise DataError(f"{path}: the image {one['id']} has neither file_name nor coco_url; add the file's name")
    return "/".join(address.split("/")[-2:])


def _images(place: Place, names: Sequence[str], root: Path) -> tuple[ImageSource, NDArray[np.int64]]:
    """Return the images of these names, each in the first folder that has it, and the position of each."""
    listings = [containers.listing(root / folder) for folder in place.folders]
    inside = place.inside.strip("/") + "/" if place.inside.strip("/") else ""
    which = []
    for name in names:
        holding = [i for i, listing in enumerate(listings) if inside + name in listing.spans]
        if not holding:
            held = " and ".join(str(listing.path) for listing in listings)
            raise DataError(
                f"{root / place.annotations} names the image {name!r}, but {held} holds no {inside + name}; "
                "unpack the images again or correct data.splits"
            )
        which.append(holding[0])
    rows = np.argsort(np.argsort(which, kind="stable"))  # a source has the images folder by folder
    every = [[inside + name for name, i in zip(names, which, strict=True) if i == one] for one in range(len(listings))]
    return splits.joined([listing.source(own) for listing, own in zip(listings, every, strict=True)]), rows


def _read(path: Path, optional: Sequence[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """Return images, objects and categories; raise DataError where they are not there or lack what is needed.

    Fields that are `optional` are looked at where they are there.
    """
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is not whole JSON: {error}. Download it again.") from error
    for key, fields in WANTED.items():
        rows = found.get(key) if isinstance(found, dict) else None
        if not isinstance(rows, list) or not rows:
            raise DataError(f"{path} has no list {key!r}, so it holds no instances of COCO; name the instances_*.json")
        for number, row in enumerate(rows):
            needed = [field for field in fields if field not in optional]
            if lacking := [field for field in needed if not isinstance(row, dict) or field not in row]:
                raise DataError(f"{path}: {key}[{number}] has no {lacking[0]!r}; download it again")
            if strange := [field for field, fits in fields.items() if field in row and not fits(row[field])]:
                told = f"{strange[0]} {row[strange[0]]!r}"
                raise DataError(
                    f"{path}: {key}[{number}] has the {told:.80}, which is of the wrong kind; download it again"
                )
    return {key: found[key] for key in WANTED}


def _unique(values: list[Any], what: str, path: Path) -> list[Any]:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise DataError(f"{path} names {what} {value!r} twice; remove one of them")
        seen.add(value)
    return values


def _categories(found: Mapping[str, list[dict[str, Any]]], path: Path) -> list[dict[str, Any]]:
    """Return the categories by id; raise DataError for one, or an image, that is there twice."""
    _unique([one["id"] for one in found["images"]], "the image", path)
    categories = sorted(found["categories"], key=lambda one: one["id"])
    _unique([one["id"] for one in categories], "the category", path)
    return categories


def _labels(
    found: Mapping[str, list[dict[str, Any]]], categories: list[dict[str, Any]], path: Path
) -> NDArray[np.int64]:
    """Return (images, categories) of 1 and 0."""
    columns = {one["id"]: column for column, one in enumerate(categories)}
    rows = {one["id"]: row for row, one in enumerate(found["images"])}
    held = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for one in found["annotations"]:
        coco_objects.check_known(one, rows, columns, path)
        if _counts(one):
            held[rows[one["image_id"]], columns[one["category_id"]]] = 1
    return held


def _counts(one: Mapping[str, Any]) -> bool:
    """Tell whether an object is more than a point or a line."""
    return bool(one["area"] > 0 and one["bbox"][2] > 1 and one["bbox"][3] > 1)

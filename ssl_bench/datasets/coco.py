"""COCO's annotations: a JSON file of images, objects and categories per split; any number of categories may hold.

A category holds of an image where one of its objects has an area above 0 and a box of more than one pixel each way; a
crowd is an object too. That is how VISSL makes image labels of COCO (extra_scripts/datasets/create_coco_data_files.py).
The JSON is read whole: 500 MB, as large as train2017's, take up to half a minute and 3 GB of memory.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a split lies."""

    images: str
    """The folder or archive of its images, relative to the data folder."""
    annotations: str
    """Its JSON file, relative to the data folder."""
    inside: str = ""
    """Folder within `images` that file names begin in, such as "train2017" in train2017.zip."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    splits: Mapping[str, Place]
    """Split name to where it lies."""


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


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return annotations and archives, or every file of the folders; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    images = dict.fromkeys(root / place.images for place in chosen.splits.values())
    return *(root / place.annotations for place in chosen.splits.values()), *images


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits in the order of their images; an id is the file's name, classes are the categories by id.

    Labels are (samples, classes) of 1 and 0. Raises DataError for a damaged file, for objects of unknown images or
    categories, for splits of other categories, and for images that are not there or named twice.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    splits: dict[str, Split] = {}
    for split, place in chosen.splits.items():
        path = root / place.annotations
        found = _read(path)
        names = _unique([str(one["file_name"]) for one in found["images"]], "the file", path)
        listing = containers.listing(root / place.images)
        inside = place.inside.strip("/") + "/" if place.inside.strip("/") else ""
        for name in names:
            if inside + name not in listing.spans:
                raise DataError(
                    f"{path} names the image {name!r}, but {listing.path} holds no {inside + name}; "
                    "unpack the images again or correct data.splits"
                )
        source = listing.source([inside + name for name in names])
        held, classes = _labels(found, path)
        for other, known in splits.items():
            if known.class_names != classes:
                raise DataError(
                    f"{path} has other categories than {chosen.splits[other].annotations}; name files of one set"
                )
        splits[split] = Split(source, np.arange(len(names)), tuple(names), held, classes)
    return splits


def _read(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return images, objects and categories; raise DataError where they are not there or lack what is needed."""
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path} is not whole JSON: {error}. Download it again.") from error
    for key, fields in WANTED.items():
        rows = found.get(key) if isinstance(found, dict) else None
        if not isinstance(rows, list) or not rows:
            raise DataError(f"{path} has no list {key!r}, so it holds no instances of COCO; name the instances_*.json")
        for number, row in enumerate(rows):
            if lacking := [field for field in fields if not isinstance(row, dict) or field not in row]:
                raise DataError(f"{path}: {key}[{number}] has no {lacking[0]!r}; download it again")
            if strange := [field for field, fits in fields.items() if not fits(row[field])]:
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


def _labels(found: Mapping[str, list[dict[str, Any]]], path: Path) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return (images, categories) of 1 and 0, and the categories' names."""
    categories = sorted(found["categories"], key=lambda one: one["id"])
    columns = {one: i for i, one in enumerate(_unique([one["id"] for one in categories], "the category", path))}
    rows = {one: i for i, one in enumerate(_unique([one["id"] for one in found["images"]], "the image", path))}
    held = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for one in found["annotations"]:
        for key, known in (("image_id", rows), ("category_id", columns)):
            if one[key] not in known:
                raise DataError(
                    f"{path}: the annotation {one['id']} has the unknown {key} {one[key]!r}; correct the file"
                )
        if _counts(one):
            held[rows[one["image_id"]], columns[one["category_id"]]] = 1
    return held, tuple(str(one["name"]) for one in categories)


def _counts(one: Mapping[str, Any]) -> bool:
    """Tell whether an object is more than a point or a line."""
    return bool(one["area"] > 0 and one["bbox"][2] > 1 and one["bbox"][3] > 1)

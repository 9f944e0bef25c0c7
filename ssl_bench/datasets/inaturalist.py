"""iNaturalist's competitions: a JSON file per split that names images, their species and nothing else of them.

The JSON is COCO's without boxes: `images` with a file_name, `annotations` with an image_id and a category_id, and
`categories`, whose ids in rising order are the labels. The folder of images is not walked, since it holds millions.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, reason


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder in which file names begin, relative to the data folder."""
    images: tuple[str, ...]
    """Folders within it that hold the images: what an archive unpacks to."""
    splits: Mapping[str, str]
    """Split name to its JSON file, relative to `path`."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the JSON files and the folders of images; raise MissingError that names all absent."""
    chosen = cards.from_table(Options, options, "data")
    paths = [root / chosen.path / name for name in (*chosen.splits.values(), *chosen.images)]
    containers.require(*paths)
    return paths


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits in the order of their JSON files; an id is the image's file name.

    Raises DataError for a file of another form, images without a species and splits of other species.
    """
    chosen = cards.from_table(Options, options, "data")
    locate(options, root)
    splits: dict[str, Split] = {}
    for split, name in chosen.splits.items():
        splits[split] = _load_split(root / chosen.path, root / chosen.path / name)
    if len({split.class_names for split in splits.values()}) > 1:
        raise DataError(f"the files {', '.join(chosen.splits.values())} in {root / chosen.path} list different species")
    return splits


def _load_split(folder: Path, path: Path) -> Split:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        species = {one["id"]: str(one["name"]) for one in sorted(found["categories"], key=lambda one: one["id"])}
        rank = {category: label for label, category in enumerate(species)}
        of_image = {one["image_id"]: one["category_id"] for one in found["annotations"]}
        images = {one["id"]: str(one["file_name"]) for one in found["images"]}
        strange = [image for image in images if of_image.get(image) not in rank]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no list of images, annotations and categories: {reason(error)}") from error
    if strange:
        told = (
            f"the category {of_image[strange[0]]!r}, which it does not list"
            if strange[0] in of_image
            else "no category"
        )
        raise DataError(f"{path} gives {images[strange[0]]!r} {told}. Download it again.")
    if len(images) < len(found["images"]):
        raise DataError(f"{path} lists an image twice. Download it again.")
    ids, labels = tuple(images.values()), np.array([rank[of_image[image]] for image in images], dtype=np.int64)
    return Split(containers.Files(folder, ids), np.arange(len(ids)), ids, labels, _named(species))


def _named(species: Mapping[int, str]) -> tuple[str, ...]:
    """Return the species' names; two of one name bear their numbers too."""
    names = [*species.values()]
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(f"{name} ({category})" for category, name in species.items())

"""Kaggle's Diabetic Retinopathy Detection of 2015: photographs of retinas, graded from 0 (none) to 4 (proliferative).

The images are read as they lie, so what the card says they must be prepared to is for a person to do; an image larger
than the prepared ones is refused. Kaggle's public leaderboard is val and its private one test, as in TensorFlow
Datasets (image_classification/diabetic_retinopathy_detection.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers, rows
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.errors import DataError, reason
from ssl_bench.images import decode

SPLITS = {"train": ("train", "train_labels", ""), "val": ("test", "test_labels", "Public")}
SPLITS["test"] = ("test", "test_labels", "Private")
"""Split name to the folder of its images, the option that names its labels and its value of the column Usage."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive that holds train/<name>.jpeg and test/<name>.jpeg, relative to the data folder."""
    train_labels: str
    """trainLabels.csv, with the columns image and level, relative to the data folder."""
    test_labels: str
    """retinopathy_solution.csv, with the columns image, level and Usage, relative to the data folder."""
    largest: int = 0
    """Pixels that no image may exceed on a side, since it is then not prepared; 0: images may be of any size."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the lists of labels and the archive, or every file of the folder; MissingError names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    return root / chosen.train_labels, root / chosen.test_labels, root / chosen.path


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return train, val and test in the order of the labels; an id is the image's name, such as "10_left".

    Raises DataError for a list of another form, an image that is not there and a split whose first image is too large.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    listing = containers.listing(root / chosen.path)
    splits = {}
    for name, (folder, option, usage) in SPLITS.items():
        splits[name] = _load_split(listing, folder, root / getattr(chosen, option), usage)
        _check_size(splits[name], chosen.largest, listing.path)
    return splits


def _load_split(listing: Listing, folder: str, path: Path, usage: str) -> Split:
    table = rows.read(path, ("image", "level", *(["Usage"] if usage else [])))
    table = [row for row in table if not usage or row["Usage"] == usage]
    ids = tuple(row["image"] for row in table)
    try:
        labels = np.array([int(row["level"]) for row in table], dtype=np.int64)
    except ValueError as error:
        raise DataError(f"{path}: a level is no whole number, {reason(error)}") from error
    if not ids:
        raise DataError(f"{path} lists no {usage + ' ' if usage else ''}images")
    source = listing.source([f"{folder}/{name}.jpeg" for name in ids])
    return Split(source, np.arange(len(ids)), ids, labels)


def _check_size(split: Split, largest: int, where: Path) -> None:
    size = decode(split.read(0), f"{where}: {split.ids[0]}").size if largest else (0, 0)
    if max(size) > largest > 0:
        raise DataError(
            f"{where}: the image {split.ids[0]} has {size[0]}x{size[1]} pixels, more than {largest} on a side: "
            "it is not prepared as the card says"
        )

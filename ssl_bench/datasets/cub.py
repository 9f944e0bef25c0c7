"""Caltech-UCSD Birds-200-2011 as its archive unpacks: images by species, and lists that number them.

`images.txt` gives every image's number and path, `image_class_labels.txt` its class from 1, `train_test_split.txt`
whether it is for training, and `classes.txt` the classes' names, such as "001.Black_footed_Albatross".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.errors import DataError, UsageError, reason


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive that holds CUB_200_2011's files, relative to the data folder."""
    every: int = 0
    """For few-shot learning: take each of the classes numbered from 0 that leaves `rest` when divided by this, all
    their images in one split "test"; 0: all classes, in the authors' train and test."""
    rest: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rest < max(self.every, 1):
            raise UsageError(f"rest is {self.rest}, which nothing leaves when divided by {self.every}")


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the archive, or every file of the folder; raise MissingError where it is not there."""
    return containers.files_of(root / cards.from_table(Options, options, "data").path)


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits in the order of the images' numbers; an id is the path below images/.

    Raises DataError for a list of another form and for an image that is listed but not there.
    """
    chosen = cards.from_table(Options, options, "data")
    listing = containers.listing(root / chosen.path)
    images, classes, train, names = (
        _column(listing, name) for name in ("images", "image_class_labels", "train_test_split", "classes")
    )
    try:
        of = {path: (int(classes[number]) - 1, train[number] == "1") for number, path in images.items()}
    except (KeyError, ValueError) as error:
        raise DataError(f"{listing.path}: its lists do not fit together, {reason(error)}") from error
    if strange := [path for path, (label, _) in of.items() if not 0 <= label < len(names)]:
        raise DataError(f"{listing.path}: image_class_labels.txt gives {strange[0]!r} a class that classes.txt lacks")
    words = [name.partition(".")[2].replace("_", " ") for name in names.values()]
    if not chosen.every:
        parts = {split: [path for path in of if of[path][1] == (split == "train")] for split in ("train", "test")}
        return {split: _split(listing, paths, of, range(len(words)), words) for split, paths in parts.items()}
    kept = range(chosen.rest, len(words), chosen.every)
    return {"test": _split(listing, [path for path in of if of[path][0] in kept], of, kept, words)}


def _split(
    listing: Listing, paths: list[str], of: Mapping[str, tuple[int, bool]], kept: range, words: list[str]
) -> Split:
    labels = np.array([kept.index(of[path][0]) for path in paths], dtype=np.int64)
    source = listing.source([f"images/{path}" for path in paths])
    return Split(source, np.arange(len(paths)), tuple(paths), labels, tuple(words[label] for label in kept))


def _column(listing: Listing, name: str) -> dict[str, str]:
    """Return a list's number to value."""
    lines = listing.read(f"{name}.txt").decode("utf-8", errors="replace").splitlines()
    pairs = [line.split(" ", 1) for line in lines if line.strip()]
    if not all(len(pair) == 2 for pair in pairs):
        raise DataError(f"{listing.path}/{name}.txt: a line is not a number, a space and a value")
    return {number: value.strip() for number, value in pairs}

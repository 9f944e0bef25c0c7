"""SPair-71k as its authors pack it: photographs of objects of PASCAL VOC with landmarks, and lists of pairs of them.

A split's samples are the images of its pairs, in the order of their names; an image's landmarks come from
ImageAnnotation and its partners from PairAnnotation. A pair is asked for all landmarks that both images have.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.errors import DataError, reason
from ssl_bench.targets import Landmarks

Source: TypeAlias = containers.Files | containers.Members
SPLITS = {"train": "trn", "val": "val", "test": "test"}
"""Split to its folder in PairAnnotation."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive of JPEGImages, ImageAnnotation and PairAnnotation, relative to the data folder."""
    inside: str = ""
    """Folder within it that holds these, such as "SPair-71k"."""

    def name(self, path: str) -> str:
        """Return a path below `inside` as the listing spells it."""
        return f"{self.inside.strip('/')}/{path}" if self.inside else path


@dataclasses.dataclass(frozen=True, eq=False)
class Annotations:
    """Landmarks by position."""

    images: Source
    pairs: Source
    """Of every image, one pair that it is in, which tells its size and its object's box."""
    names: tuple[str, ...]
    """Of the images: the class, a slash, and the photograph."""
    sides: tuple[str, ...]
    """Which of its pair an image is: "src" or "trg"."""
    partners: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Landmarks:
        """Return the landmarks of image `index`; raise DataError naming it where its annotations are damaged."""
        name, side = self.names[index], self.sides[index]
        try:
            told = json.loads(self.images.read(index))["kps"]
            pair = json.loads(self.pairs.read(index))
            marks = {int(number): place for number, place in told.items() if place is not None}
            width, height = (int(length) for length in pair[f"{side}_imsize"][:2])
            places = np.array(list(marks.values()), dtype=np.float64).reshape(-1, 2)
            box = np.array(pair[f"{side}_bndbox"], dtype=np.float64).reshape(4)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DataError(
                f"the landmarks of {name} are damaged: {reason(error)}. Unpack the archive again."
            ) from error
        numbers = np.array(list(marks), dtype=np.int64)
        return Landmarks((height, width), places, numbers, box, name.partition("/")[0], self.partners[index])


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the archive, or every file of the folder; raise MissingError where it is not there."""
    return containers.files_of(root / cards.from_table(Options, options, "data").path)


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return train, val and test, as far as they are there; an id is the class, a slash, and the photograph's name.

    Raises DataError for a pair that is none, and for one of an image that is not there.
    """
    chosen = cards.from_table(Options, options, "data")
    listing = containers.listing(root / chosen.path)
    splits = {}
    for split, folder in SPLITS.items():
        begin = chosen.name(f"PairAnnotation/{folder}/")
        pairs = [name for name in listing.spans if name.startswith(begin) and name.endswith(".json")]
        if pairs:
            splits[split] = _split(chosen, listing, pairs)
    if not splits:
        raise DataError(f"{root / chosen.path} holds no {chosen.name('PairAnnotation/test')}; correct data.inside")
    return splits


def _split(chosen: Options, listing: Listing, pairs: list[str]) -> Split:
    """Return the images of pairs, the list of partners beside each first image."""
    partners: dict[str, list[str]] = {}
    told: dict[str, tuple[str, str]] = {}
    for path in pairs:
        first, second = _pair(path)
        partners.setdefault(first, []).append(second)
        partners.setdefault(second, [])
        told |= {first: (path, "src"), second: (path, "trg")}
    names = tuple(sorted(partners))
    truth = Annotations(
        listing.source([chosen.name(f"ImageAnnotation/{name}.json") for name in names]),
        listing.source([told[name][0] for name in names]),
        names,
        tuple(told[name][1] for name in names),
        tuple(tuple(sorted(partners[name])) for name in names),
    )
    source = listing.source([chosen.name(f"JPEGImages/{name}.jpg") for name in names])
    return Split(source, np.arange(len(names)), names, np.zeros((len(names), 0), dtype=np.int64), truth=truth)


def _pair(path: str) -> tuple[str, str]:
    """Return the two images that a pair's file is called after: number-first-second:class.json."""
    name, _, group = path.rpartition("/")[2].removesuffix(".json").partition(":")
    parts = name.split("-")
    if len(parts) != 3 or not group:
        raise DataError(f"{path} is not called <number>-<image>-<image>:<class>.json; unpack the archive again")
    return f"{group}/{parts[1]}", f"{group}/{parts[2]}"

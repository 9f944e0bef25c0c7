"""Images and depth maps, or maps of normals, named in text files: a line has an image's path and its map's.

The lists are BTS's (Lee et al., 2019), which the field reports NYU Depth v2 and KITTI by. What follows on a line, a
focal length, is not read, and an image whose map is "None" is left out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import containers, surfaces
from ssl_bench.datasets.base import ImageSource, Split
from ssl_bench.datasets.surfaces import Cut, Frame
from ssl_bench.errors import DataError, UsageError
from ssl_bench.targets import Directions, Distances

NONE = "None"
"""In place of a map's path: the image has none."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A split: its list, and how its files are read."""

    list: str
    """Relative to the data folder."""
    images: str
    """The folder or archive in which the images' paths begin, relative to the data folder."""
    maps: str = ""
    """As `images`, for the maps; empty: the same."""
    metre: float = 1000.0
    """The number that stands for a metre."""
    turned: int = 0
    """Bits by which each number of 16 bits was turned to the left: 3 in SUN RGB-D."""
    clip: float = 0.0
    """Distances beyond this are set to it; 0: none are."""
    below: float = 0.0
    """Distances of this and more count as unknown; 0: none do."""
    cut: tuple[int, ...] = ()
    """The part of image and map that is shown; see `surfaces.Frame`."""
    counted: tuple[float, ...] = ()
    """The part of it of which the truth counts; see `surfaces.Frame`."""

    def __post_init__(self) -> None:
        if self.metre <= 0 or not 0 <= self.turned < 16:
            raise UsageError("metre must be above 0, and turned from 0 to 15")

    @property
    def frame(self) -> Frame:
        """What is shown, and what counts."""
        return Frame(self.cut, self.counted)


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    splits: Mapping[str, Part]
    says: Literal["distances", "normals"] = "distances"
    """What the maps hold."""


@dataclasses.dataclass(frozen=True)
class Maps:
    """Distances or normals by position."""

    source: ImageSource
    names: tuple[str, ...]
    part: Part
    says: str

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int) -> Distances | Directions:
        """Return what is known of image `index`; raise DataError naming the file where it is damaged."""
        where = f"the map {self.names[index]}"
        values = surfaces.numbers(self.source.read(index), where)  # type: ignore[arg-type]  # files are bytes
        if self.says == "normals":
            return Directions(self.part.frame.only_counted(surfaces.normals(values, where), where))
        return Distances(self.part.frame.only_counted(self._metres(values, where), where))

    def _metres(self, values: NDArray[np.generic], where: str) -> NDArray[np.float32]:
        part = self.part
        if part.turned:
            bits = np.asarray(values).astype(np.uint16)
            values = (bits >> part.turned) | (bits << (16 - part.turned))
        metres = surfaces.distances(values, part.metre, where)
        if part.clip:
            metres = np.minimum(metres, np.float32(part.clip))
        return np.where(metres < part.below, metres, np.float32(0)) if part.below else metres


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the lists, and the archives or every file of the folders; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> list[Path]:
    parts = chosen.splits.values()
    places = [place for part in parts for place in (part.list, part.images, part.maps or part.images)]
    return [root / place for place in dict.fromkeys(places)]


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return a split per list, samples in its order; an id is the image's path.

    Raises DataError for a line that is not two paths, a path that is not there or listed twice, and an empty list.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    folders = dict.fromkeys(
        place for part in chosen.splits.values() for place in (part.images, part.maps or part.images)
    )
    listings = {place: containers.listing(root / place) for place in folders}
    splits = {}
    for split, part in chosen.splits.items():
        pairs = list(_pairs(root / part.list))
        if not pairs:
            raise DataError(f"{root / part.list} lists no image with a map")
        images, maps = zip(*pairs, strict=True)
        source: ImageSource = listings[part.images].source(images)
        truth = Maps(listings[part.maps or part.images].source(maps), maps, part, chosen.says)
        labels = np.zeros((len(images), 0), dtype=np.int64)
        source = Cut(source, part.frame) if part.cut else source
        splits[split] = Split(source, np.arange(len(images)), images, labels, truth=truth)
    return splits


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Give the image and the map of every line that has both."""
    seen: set[str] = set()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error.reason}") from error
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[1:2] == [NONE]:
            continue
        if len(words) not in (2, 3):
            raise DataError(f"{path}, line {number}: {line[:80]!r} is not the paths of an image and of its map")
        image, depth = (word.replace("\\", "/").lstrip("/") for word in words[:2])
        if image in seen:
            raise DataError(f"{path}, line {number}: {image!r} is listed twice; remove one line")
        seen.add(image)
        yield image, depth

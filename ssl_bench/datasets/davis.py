"""DAVIS as its authors pack it: videos as frames in JPEG, and for each frame a PNG whose numbers are the objects'.

A split's samples are the frames of its videos, in the order of its list; masks of a palette are read by their numbers.
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
from ssl_bench.errors import DataError
from ssl_bench.images import decode
from ssl_bench.targets import Frame


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive of JPEGImages, Annotations and ImageSets, relative to the data folder."""
    inside: str = ""
    """Folder within it that holds these, such as "DAVIS"."""
    resolution: str = "480p"
    """Folder of JPEGImages and Annotations that is read."""
    year: str = "2017"
    """Folder of ImageSets that is read."""

    def name(self, path: str) -> str:
        """Return a path below `inside` as the listing spells it."""
        return f"{self.inside.strip('/')}/{path}" if self.inside else path


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """Masks by position."""

    source: containers.Files | containers.Members
    names: tuple[str, ...]
    """Of the frames: the video, a slash, and the frame."""
    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Frame:
        """Return the objects in frame `index`; raise DataError for a mask of several channels."""
        labels = np.asarray(decode(self.source.read(index), f"the mask of {self.names[index]}"))
        if labels.ndim != 2:
            raise DataError(
                f"the mask of {self.names[index]} has {labels.shape[2]} channels; numbers of objects take one"
            )
        return Frame(labels.astype(np.uint8), self.names[index].rpartition("/")[0], self.numbers[index])


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the archive, or every file of the folder; raise MissingError where it is not there."""
    return containers.files_of(root / cards.from_table(Options, options, "data").path)


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return a split for every list of ImageSets; an id is the video, a slash, and the frame's name.

    Raises DataError for a list that is absent, a video without frames, and a frame without its mask.
    """
    chosen = cards.from_table(Options, options, "data")
    listing = containers.listing(root / chosen.path)
    begin = chosen.name(f"ImageSets/{chosen.year}/")
    lists = [name for name in listing.spans if name.startswith(begin) and name.endswith(".txt")]
    if not lists:
        raise DataError(f"{root / chosen.path} holds no lists {begin}*.txt; correct data.inside")
    return {name.removeprefix(begin).removesuffix(".txt"): _split(chosen, listing, name) for name in lists}


def _split(chosen: Options, listing: Listing, path: str) -> Split:
    """Return the frames of the videos that a list names."""
    try:
        videos = [line.strip() for line in listing.read(path).decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{listing.path}/{path} is not UTF-8 text: {error.reason}") from error
    names: list[str] = []
    numbers: list[int] = []
    frames = _frames(chosen, listing)
    for video in videos:
        if video not in frames:
            raise DataError(f"{listing.path}/{path} lists {video!r}, of which there are no frames")
        names += [f"{video}/{frame}" for frame in frames[video]]
        numbers += range(len(frames[video]))
    place = chosen.resolution
    masks = listing.source([chosen.name(f"Annotations/{place}/{name}.png") for name in names])
    images = listing.source([chosen.name(f"JPEGImages/{place}/{name}.jpg") for name in names])
    labels = np.zeros((len(names), 0), dtype=np.int64)
    truth = Frames(masks, tuple(names), tuple(numbers))
    return Split(images, np.arange(len(names)), tuple(names), labels, truth=truth)


def _frames(chosen: Options, listing: Listing) -> dict[str, list[str]]:
    """Return the names of every video's frames, in their order."""
    begin, found = chosen.name(f"JPEGImages/{chosen.resolution}/"), dict[str, list[str]]()
    for name in listing.spans:
        if name.startswith(begin) and name.endswith(".jpg"):
            video, _, frame = name.removeprefix(begin).removesuffix(".jpg").rpartition("/")
            found.setdefault(video, []).append(frame)
    return found

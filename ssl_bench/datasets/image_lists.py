"""Images named in text files, one file per split and one path a line; an image's class is its folder, or a number that
stands behind the path, as in ImageNet's and Places' lists."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers, labels
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, MissingError


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive of images, relative to the data folder; the lists' paths begin in it."""
    lists: Mapping[str, str]
    """Split name to its list, relative to the data folder."""
    label: Literal["folder", "number"] = "folder"
    """"number": the last word of a line, a whole number, is the image's label."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the lists and the archive, or every file of the folder; raise MissingError that names all absent."""
    chosen = cards.from_table(Options, options, "data")
    lists = [root / name for name in chosen.lists.values()]
    absent = [str(path) for path in (root / chosen.path, *lists) if not path.exists()]
    if absent:
        raise MissingError(f"there is no file or folder {', '.join(absent)}")
    return [*lists, *containers.files_of(root / chosen.path)]


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return a split per list, samples in its order; an id is the path, classes are the sorted folders of all lists.

    Raises DataError for a path that is not there or listed twice, for a line without a number where it should have one,
    and for a list that is empty or no text.
    """
    chosen = cards.from_table(Options, options, "data")
    locate(options, root)
    listing = containers.listing(root / chosen.path)
    lists = {split: _lines(root / path, chosen) for split, path in chosen.lists.items()}
    names = {split: [name for name, _ in lines] for split, lines in lists.items()}
    every = [name for lines in names.values() for name in lines]
    if len(set(every)) < len(every):
        twice = collections.Counter(every).most_common(1)[0][0]
        raise DataError(f"the lists name {twice!r} twice")
    said = [label for lines in lists.values() for _, label in lines]
    found, classes = labels.ranked(said) if chosen.label == "folder" else (np.array(said, dtype=np.int64), ())
    splits, start = {}, 0
    for split, lines in names.items():
        source = listing.source([line.lstrip("/") for line in lines])
        own = found[start : start + len(lines)]
        splits[split] = Split(source, np.arange(len(lines)), tuple(lines), own, classes)
        start += len(lines)
    return splits


def _lines(path: Path, options: Options) -> list[tuple[str, str]]:
    """Return what a list says, each path with its label as text."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error.reason}") from error
    if not lines:
        raise DataError(f"{path} lists no images")
    if options.label == "folder":
        return [(line, line.rpartition("/")[0]) for line in lines]
    parted = [line.rpartition(" ") for line in lines]
    for number, (name, _, word) in enumerate(parted):
        if not name.strip() or not labels.is_whole(word):
            raise DataError(f"{path}: the line {lines[number]!r} is not a path and a whole number; correct data.label")
    return [(name.strip(), word) for name, _, word in parted]

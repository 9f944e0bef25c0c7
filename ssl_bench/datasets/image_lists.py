"""Images named in text files, one file per split and one path a line; an image's class is its folder."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the lists and the archive, or every file of the folder; raise MissingError that names all absent."""
    chosen = cards.from_table(Options, options, "data")
    lists = [root / name for name in chosen.lists.values()]
    absent = [str(path) for path in (root / chosen.path, *lists) if not path.exists()]
    if absent:
        raise MissingError(f"there is no file or folder {', '.join(absent)}")
    return [*lists, *containers.files_of(root / chosen.path)]


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return a split per list, samples in its order; an id is the line, classes are the sorted folders of all lists.

    Raises DataError for a path that is not there or listed twice, and for a list that is empty or no text.
    """
    chosen = cards.from_table(Options, options, "data")
    locate(options, root)
    listing = containers.listing(root / chosen.path)
    names = {split: _lines(root / path) for split, path in chosen.lists.items()}
    every = [name for lines in names.values() for name in lines]
    if len(set(every)) < len(every):
        twice = collections.Counter(every).most_common(1)[0][0]
        raise DataError(f"the lists name {twice!r} twice")
    found, classes = labels.ranked([name.rpartition("/")[0] for name in every])
    splits, start = {}, 0
    for split, lines in names.items():
        source = listing.source([line.lstrip("/") for line in lines])
        own = found[start : start + len(lines)]
        splits[split] = Split(source, np.arange(len(lines)), tuple(lines), own, classes)
        start += len(lines)
    return splits


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error.reason}") from error
    if not lines:
        raise DataError(f"{path} lists no images")
    return lines

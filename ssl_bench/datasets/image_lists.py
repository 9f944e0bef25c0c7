"""Images named in text files, one file per split and one path a line; an image's class is its folder, or a number."""

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
from ssl_bench.errors import DataError


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive of images, relative to the data folder; the lists' paths begin in it."""
    lists: Mapping[str, str]
    """Split name to its list, relative to the data folder."""
    numbered: bool = False
    """True: a line is a path, a space and a label; false: a path, whose class is its folder."""
    folders: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Split name to the folder within `path` in which its list's paths begin, where that is not `path` itself."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the lists and the archive, or every file of the folder; raise MissingError that names all absent."""
    chosen = cards.from_table(Options, options, "data")
    _require(chosen, root)
    return [*(root / name for name in chosen.lists.values()), *containers.files_of(root / chosen.path)]


def _require(chosen: Options, root: Path) -> None:
    folders = (root / chosen.path / folder for folder in chosen.folders.values())
    containers.require(root / chosen.path, *folders, *(root / name for name in chosen.lists.values()))


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return a split per list, samples in its order; an id is the line, classes are the sorted folders of all lists.

    With numbers the id is the line without its label, and classes have no names. Raises DataError for a path that is
    not there or listed twice, a label that is no number, and a list that is empty or no text.
    """
    chosen = cards.from_table(Options, options, "data")
    _require(chosen, root)
    listing = containers.listing(root / chosen.path)
    names = {split: _lines(root / path) for split, path in chosen.lists.items()}
    numbers: list[int] = []
    if chosen.numbered:
        pairs = {split: [_pair(line, chosen.lists[split]) for line in lines] for split, lines in names.items()}
        names = {split: [name for name, _ in own] for split, own in pairs.items()}
        numbers = [label for own in pairs.values() for _, label in own]
    every = [_below(chosen, split, name) for split, lines in names.items() for name in lines]
    if len(set(every)) < len(every):
        twice = collections.Counter(every).most_common(1)[0][0]
        raise DataError(f"the lists name {twice!r} twice")
    found, classes = np.array(numbers, dtype=np.int64), tuple[str, ...]()
    if not chosen.numbered:
        found, classes = labels.ranked([name.rpartition("/")[0] for name in every])
    splits, start = {}, 0
    for split, lines in names.items():
        source = listing.source([name.lstrip("/") for name in every[start : start + len(lines)]])
        own = found[start : start + len(lines)]
        splits[split] = Split(source, np.arange(len(lines)), tuple(lines), own, classes)
        start += len(lines)
    return splits


def _below(options: Options, split: str, name: str) -> str:
    """Return a list's path as one below `path`."""
    folder = options.folders.get(split, "").strip("/")
    return f"{folder}/{name.lstrip('/')}" if folder else name


def _pair(line: str, where: str) -> tuple[str, int]:
    """Return a line's path and label."""
    name, _, label = line.rpartition(" ")
    if not name or not label.isdecimal():
        raise DataError(f"{where}: the line {line!r} is not a path, a space and a label")
    return name.strip(), int(label)


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error.reason}") from error
    if not lines:
        raise DataError(f"{path} lists no images")
    return lines

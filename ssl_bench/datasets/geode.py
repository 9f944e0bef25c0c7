"""GeoDE: photographs of 40 kinds of objects, taken on request by people of six regions of the world.

The authors' index.csv has the columns file_path, object, region and ip_country; file_path begins in images/. They
publish no split, so half of each object's images of each region are drawn here, by the md5 of their paths, to train on.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers, labels, rows
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive of images, relative to the data folder."""
    list: str
    """index.csv, relative to the data folder."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the list and the archive, or every file of the folder; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    return root / chosen.list, root / chosen.path


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return "train", "test" and the test images of each region by its name, in the order of the list.

    An id is the path. Raises DataError for a list of another form, and for an image that is not there or listed twice.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    path = root / chosen.list
    table = rows.read(path, ("file_path", "object", "region"))
    kinds = {row["file_path"]: (row["object"], row["region"]) for row in table}
    if len(kinds) < len(table) or not table:
        raise DataError(f"{path} lists {'an image twice' if table else 'no images'}")
    found, names = labels.ranked([kind for kind, _ in kinds.values()])
    label_of = dict(zip(kinds, found.tolist(), strict=True))
    train = _drawn(kinds)
    parts = {"train": [name for name in kinds if name in train], "test": [name for name in kinds if name not in train]}
    for place in sorted({place for _, place in kinds.values()}):
        parts[place] = [name for name in parts["test"] if kinds[name][1] == place]
    listing = containers.listing(root / chosen.path)
    return {
        split: Split(
            listing.source(own), np.arange(len(own)), tuple(own), np.array([label_of[n] for n in own], np.int64), names
        )
        for split, own in parts.items()
    }


def _drawn(kinds: Mapping[str, tuple[str, str]]) -> set[str]:
    """Return the names to train on: the first half, rounded down, of each object and region by md5."""
    members: dict[tuple[str, str], list[str]] = {}
    for name, kind in kinds.items():
        members.setdefault(kind, []).append(name)
    drawn: set[str] = set()
    for own in members.values():
        own.sort(key=lambda name: hashlib.md5(name.encode(), usedforsecurity=False).digest())
        drawn.update(own[: len(own) // 2])
    return drawn

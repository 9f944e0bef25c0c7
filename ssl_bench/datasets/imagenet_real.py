"""ImageNet's validation images with the reassessed labels of google-research/reassessed-imagenet, a set for each.

`real.json` is a list of 50,000 lists of labels, in the order of the images' numbers: that of
ILSVRC2012_val_00000001.JPEG is the first. An image whose list is empty is left out, as its authors ask (Beyer et al.,
Are we done with ImageNet?, 2020).
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers, labels
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError

_NUMBER = re.compile(r"_val_0*(\d+)\.\w+$")


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive of validation images, in class folders or not, relative to the data folder."""
    labels: str
    """The authors' real.json, relative to the data folder."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the labels and the archive, or every file of the folder; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    return root / chosen.labels, root / chosen.path


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the split "val" in the order of the images' numbers, labels (samples, most); an id is the path.

    Raises DataError for a name without a number, a number that real.json does not reach and a file of another form.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    listing = containers.listing(root / chosen.path)
    names = sorted((_number(name, listing.path), name) for name in listing.spans if containers.is_image(name))
    reassessed = _reassessed(root / chosen.labels)
    if names and names[-1][0] > len(reassessed):
        raise DataError(f"{root / chosen.labels} has {len(reassessed)} lists, none for {names[-1][1]!r}")
    kept = [(name, reassessed[number - 1]) for number, name in names if reassessed[number - 1]]
    if not kept:
        raise DataError(f"{listing.path} holds no image that {root / chosen.labels} has a label for")
    ids = tuple(name for name, _ in kept)
    return {"val": Split(listing.source(ids), np.arange(len(ids)), ids, labels.sets([found for _, found in kept]))}


def _number(name: str, where: Path) -> int:
    """Return an image's number, from 1."""
    match = _NUMBER.search(name)
    if match is None or not int(match[1]):
        raise DataError(f"{where}: {name!r} is not called as ILSVRC2012_val_00000001.JPEG, so it has no number")
    return int(match[1])


def _reassessed(path: Path) -> list[list[int]]:
    try:
        return [[int(label) for label in found] for found in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is no list of lists of labels: {error}. Download it again.") from error

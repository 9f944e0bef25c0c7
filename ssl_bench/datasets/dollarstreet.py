"""Dollar Street: things of everyday life in homes of 63 countries, with the ImageNet-1k labels that fit each.

MLCommons' archive holds images_v2_imagenet_test.csv, with the columns imageRelPath, region.id (af, am, as, eu), income
(of the household, in dollars a month) and imagenet_sysnet_id, a list of labels. Images that have none are left out.
"""

from __future__ import annotations

import dataclasses
import json
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
    """The folder or archive in which imageRelPath begins, relative to the data folder."""
    list: str
    """The table, relative to the data folder."""
    by: str = "region.id"
    """Column whose values divide the images into splits."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the table and the archive, or every file of the folder; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    return root / chosen.list, root / chosen.path


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return a split for each value of the column `by`, in its order, labels (samples, most); an id is the path.

    Raises DataError for a table of another form and for an image that is not there.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    path = root / chosen.list
    table = rows.read(path, ("imageRelPath", "imagenet_sysnet_id", chosen.by))
    members: dict[str, dict[str, list[int]]] = {}
    try:
        for row in table:
            if right := [int(label) for label in json.loads(row["imagenet_sysnet_id"])]:
                members.setdefault(row[chosen.by], {})[row["imageRelPath"]] = sorted(set(right))
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} holds {row['imagenet_sysnet_id']!r}, which is no list of ImageNet's labels") from error
    if not members:
        raise DataError(f"{path} lists no image that has a label of ImageNet")
    listing = containers.listing(root / chosen.path)
    return {
        place: Split(listing.source(list(own)), np.arange(len(own)), tuple(own), labels.sets(list(own.values())))
        for place, own in sorted(members.items())
    }

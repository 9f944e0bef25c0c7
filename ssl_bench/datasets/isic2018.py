"""ISIC 2018, task 3: photographs of seven kinds of lesions of the skin, in a table of a 1 per image and kind.

`ISIC2018_Task3_Training_GroundTruth.csv` has the column `image` and one for each kind (MEL, NV, BCC, AKIEC, BKL, DF,
VASC); the images are ISIC2018_Task3_Training_Input/<image>.jpg. They are one split, "all".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers, rows
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, reason


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive of images, relative to the data folder."""
    labels: str
    """The table, relative to the data folder."""
    inside: str = ""
    """Folder within `path` that holds the images."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the table and the archive, or every file of the folder; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    return root / chosen.labels, root / chosen.path


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the split "all" in the order of the table; an id is the image's name.

    Raises DataError for a table of another form, an image of no kind or of two, and one that is not there.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    path = root / chosen.labels
    table = rows.read(path, ("image",))
    kinds = [name for name in (table[0] if table else {}) if name != "image"]
    ids = tuple(row["image"] for row in table)
    try:
        marks = np.array([[float(row[kind]) for kind in kinds] for row in table])
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} is not a table of image and a column for each kind: {reason(error)}") from error
    if not ids or not kinds or (marks.sum(axis=1) != 1).any() or not np.isin(marks, (0, 1)).all():
        raise DataError(f"{path}: an image is not of exactly one kind")
    listing = containers.listing(root / chosen.path)
    prefix = chosen.inside.strip("/") + "/" if chosen.inside.strip("/") else ""
    source = listing.source([f"{prefix}{name}.jpg" for name in ids])
    return {"all": Split(source, np.arange(len(ids)), ids, marks.argmax(axis=1).astype(np.int64), tuple(kinds))}

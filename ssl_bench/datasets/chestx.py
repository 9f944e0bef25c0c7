"""NIH ChestX-ray14, the images of one finding alone, as the cross-domain few-shot benchmark takes them.

`Data_Entry_2017.csv` has the columns "Image Index" and "Finding Labels", findings divided by "|". Of the eight findings
of ChestX-ray8 the benchmark takes seven, without pneumonia (IBM/cdfsl-benchmark datasets/Chest_few_shot.py).
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
from ssl_bench.errors import DataError

FINDINGS = ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumothorax")


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive of images, relative to the data folder."""
    labels: str
    """Data_Entry_2017.csv, relative to the data folder."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the table and the archive, or every file of the folder; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    return root / chosen.labels, root / chosen.path


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the split "all" in the order of the table; an id is the file's name.

    Raises DataError for a table of another form, and for an image that is not there.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    path = root / chosen.labels
    table = rows.read(path, ("Image Index", "Finding Labels"))
    found = {row["Image Index"]: row["Finding Labels"] for row in table}
    ids = tuple(name for name, finding in found.items() if finding in FINDINGS)
    if not ids:
        raise DataError(f"{path} lists no image of one of {', '.join(FINDINGS)} alone")
    source = containers.listing(root / chosen.path).source(ids)
    labels = np.array([FINDINGS.index(found[name]) for name in ids], dtype=np.int64)
    return {"all": Split(source, np.arange(len(ids)), ids, labels, FINDINGS)}

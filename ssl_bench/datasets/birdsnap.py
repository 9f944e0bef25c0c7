"""Birdsnap: 500 species of North American birds, photographs that each user downloads from Flickr.

The authors' birdsnap.tgz holds species.txt (id, common), images.txt (path, species_id) and test_images.txt (path), all
separated by tabs under a header; their get_birdsnap.py downloads the images. Since 2014 many have gone, so what is
there is read, and a value compares only with values on the same images.
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

LISTS = {"species.txt": ("id", "common"), "images.txt": ("path", "species_id"), "test_images.txt": ("path",)}
"""The authors' lists, and the columns of each that are read."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder of the three lists, relative to the data folder."""
    images: str
    """The folder or archive of images, <path as in images.txt>, relative to the data folder."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the lists and the archive, or every file of the folder; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    return *(root / chosen.path / name for name in LISTS), root / chosen.images


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return "train" and "test" in the order of images.txt, of the images that are there; an id is the path.

    Raises DataError for a list of another form and where no listed image is there.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    species, images, test = (rows.read(root / chosen.path / name, own, "\t", False) for name, own in LISTS.items())
    listing = containers.listing(root / chosen.images)
    try:
        numbers = {row["id"]: label for label, row in enumerate(species)}
        names = tuple(row["common"] for row in species)
        held_out = {row["path"] for row in test}
        labels = {row["path"]: numbers[row["species_id"]] for row in images if row["path"] in listing.spans}
    except KeyError as error:
        raise DataError(
            f"{root / chosen.path / 'images.txt'} names the species {error}, which species.txt lacks"
        ) from error
    if not labels:
        raise DataError(f"{listing.path} holds none of the images of {root / chosen.path / 'images.txt'}")
    splits = {}
    for split in ("train", "test"):
        ids = tuple(path for path in labels if (path in held_out) == (split == "test"))
        own = np.array([labels[path] for path in ids], dtype=np.int64)
        splits[split] = Split(listing.source(ids), np.arange(len(ids)), ids, own, names)
    return splits

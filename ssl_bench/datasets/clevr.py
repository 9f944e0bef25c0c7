"""CLEVR v1.0 as its authors pack it: rendered scenes, labelled by the number of objects or by how near the nearest is.

The labels are VTAB's (google-research/task_adaptation, data/clevr.py). The authors' test images have no scenes, so the
splits here are train and val.
"""

from __future__ import annotations

import bisect
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.errors import DataError, reason

FEWEST = 3
"""Objects in the emptiest scene."""
DISTANCES = (0.0, 8.0, 8.5, 9.0, 9.5, 10.0, 100.0)
"""The nearest object's depth falls between two of these; a bound belongs to the class below it."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """CLEVR_v1.0.zip, or the folder it unpacks to, relative to the data folder."""
    label: Literal["count", "distance"]
    """`count`: objects less 3, 8 classes; `distance`: the depth of the nearest object, 6 classes."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the zip, or every file of the folder; raise MissingError where it is not there."""
    return containers.files_of(root / cards.from_table(Options, options, "data").path)


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return train and val; an id is the image's file name. Raises DataError for scenes that do not fit the images."""
    chosen = cards.from_table(Options, options, "data")
    listing = containers.listing(root / chosen.path)
    prefix = "CLEVR_v1.0/" if any(name.startswith("CLEVR_v1.0/") for name in listing.spans) else ""
    return {split: _load_split(listing, prefix, split, chosen.label) for split in ("train", "val")}


def count_label(scene: Mapping[str, Any]) -> int:
    """Return the number of objects, from 0 for the emptiest scene."""
    return len(scene["objects"]) - FEWEST


def distance_label(scene: Mapping[str, Any]) -> int:
    """Return the greatest i with DISTANCES[i] < depth of the nearest object, as a 32-bit number as in VTAB."""
    nearest = float(np.float32(min(thing["pixel_coords"][2] for thing in scene["objects"])))
    return bisect.bisect_left(DISTANCES, nearest) - 1


def _load_split(listing: Listing, prefix: str, split: str, label: str) -> Split:
    name = f"{prefix}scenes/CLEVR_{split}_scenes.json"
    label_of = count_label if label == "count" else distance_label
    try:
        scenes = sorted(json.loads(listing.read(name))["scenes"], key=lambda scene: str(scene["image_filename"]))
        ids = tuple(str(scene["image_filename"]) for scene in scenes)
        labels = np.array([label_of(scene) for scene in scenes], dtype=np.int64)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise DataError(f"{listing.path}: {name} does not hold CLEVR's scenes: {reason(error)}") from error
    source = listing.source([f"{prefix}images/{split}/{image}" for image in ids])
    return Split(source, np.arange(len(ids)), ids, labels)

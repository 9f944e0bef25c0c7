"""ObjectNet's photographs of the classes that it shares with ImageNet-1k, each with the ImageNet labels that fit.

The authors' archive holds images/<class>/ and mappings/: a class's name by its folder (folder_to_objectnet_label.json),
the ImageNet names of a class (objectnet_to_imagenet_1k.json, joined by "; "), the name of every ImageNet number, line
by line (imagenet_to_label_2012_v2), and the number of every label (pytorch_to_imagenet_2012_id.json). Folders of other
classes are left out. The images' red border of two pixels is cut off, as in the authors' objectnet-template-pytorch.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import containers, labels
from ssl_bench.datasets.base import ImageSource, Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.errors import DataError, reason
from ssl_bench.images import decode

BORDER = 2
"""Pixels on each side."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive that holds images/ and mappings/, relative to the data folder."""


@dataclasses.dataclass(frozen=True)
class Bordered:
    """Images whose border is cut off when they are read."""

    images: ImageSource

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image `index` without its border: uint8 (height, width, 3)."""
        image = decode(self.images.read(index), f"number {index} of ObjectNet").convert("RGB")
        pixels: NDArray[np.uint8] = np.asarray(image)[BORDER:-BORDER, BORDER:-BORDER]
        return pixels


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the archive, or every file of the folder; raise MissingError where it is not there."""
    return containers.files_of(root / cards.from_table(Options, options, "data").path)


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the split "test" in the order of the paths, labels (samples, most); an id is the path below images/.

    Raises DataError for a mapping that is not there or of another form, and where no folder is of a shared class.
    """
    listing = containers.listing(root / cards.from_table(Options, options, "data").path)
    shared = _shared(listing)
    ids = tuple(
        name.removeprefix("images/")
        for name in listing.spans
        if name.startswith("images/") and containers.is_image(name) and name.split("/")[1] in shared
    )
    if not ids:
        raise DataError(f"{listing.path} holds no images/<class>/ of a class that ImageNet has")
    source = Bordered(listing.source([f"images/{name}" for name in ids]))
    found = labels.sets([shared[name.split("/")[0]] for name in ids])
    return {"test": Split(source, np.arange(len(ids)), ids, found)}


def _shared(listing: Listing) -> dict[str, list[int]]:
    """Return folder to the labels of ImageNet-1k that are right for its images."""

    def mapping(name: str) -> bytes:
        return listing.read(f"mappings/{name}")

    try:
        folders = {label: folder for folder, label in json.loads(mapping("folder_to_objectnet_label.json")).items()}
        label_of = {int(n): int(label) for label, n in json.loads(mapping("pytorch_to_imagenet_2012_id.json")).items()}
        lines = mapping("imagenet_to_label_2012_v2").decode().splitlines()
        numbers = {line.strip(): number for number, line in enumerate(lines)}
        names = json.loads(mapping("objectnet_to_imagenet_1k.json"))
        return {
            folders[label]: [label_of[numbers[name.strip()]] for name in joined.split(";")]
            for label, joined in names.items()
        }
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f"{listing.path}/mappings are not those of ObjectNet: {reason(error)}. Unpack it again."
        ) from error

"""Published subsets of training sets: lists of file names, an image a line, fetched into the data folder and verified.

SimCLR's are one and ten percent of ImageNet-1k's train (google-research/simclr, imagenet_subsets, Apache-2.0): 12 or
13, and 128 or 129 images of each class, the smaller list within the larger. TensorFlow Datasets has them as
imagenet2012_subset.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, MissingError, UsageError, did_you_mean
from ssl_bench.files import digest_file

SIMCLR = "https://raw.githubusercontent.com/google-research/simclr/383d4143fd8cf7879ae10f1046a9baeb753ff438"


@dataclasses.dataclass(frozen=True)
class Subset:
    """A list, and what it must be."""

    url: str
    sha256: str
    bytes: int
    images: int


SUBSETS = {
    "simclr_1percent": Subset(
        f"{SIMCLR}/imagenet_subsets/1percent.txt",
        "71e82a48ba78252683ae334c4d019ebd5c6e855b9599c1389fbe83eb9549cf17",
        260_323,
        12_811,
    ),
    "simclr_10percent": Subset(
        f"{SIMCLR}/imagenet_subsets/10percent.txt",
        "6d09de11e7bdaf5b1f3b1f249b6183695f97310cdd20f0c03e7235b6b9392091",
        2_603_168,
        128_116,
    ),
}
"""Every list by its name."""


def get(name: str) -> Subset:
    """Return a list's description; raise UsageError that names the nearest known ones."""
    if name not in SUBSETS:
        raise UsageError(f"no subset is called {name!r}.{did_you_mean(name, SUBSETS)} Known: {', '.join(SUBSETS)}")
    return SUBSETS[name]


def place(name: str, root: Path) -> Path:
    """Return where a list lies, or is to lie, under the data folder."""
    return root / "subsets" / f"{name}.txt"


def lacking(name: str, root: Path) -> str:
    """Return a line that says what is missing and how large it is, or "" where the list is there."""
    if place(name, root).is_file():
        return ""
    subset = get(name)
    return f"the list {name} ({subset.url}, {subset.bytes / 1e6:.1f} MB)"


def positions(name: str, ids: Sequence[str], root: Path) -> NDArray[np.int64]:
    """Return the positions in `ids`, ascending, of the images whose file names are listed.

    Raises MissingError where the list is not there, DataError where it is another file than the published one, or where
    an image of it is not among `ids` or is there twice.
    """
    subset, path = get(name), place(name, root)
    if line := lacking(name, root):
        raise MissingError(f"{line} is not at {path}")
    if digest_file(path) != subset.sha256:
        raise DataError(f"{path} is not the published list: its sha256 is not {subset.sha256}; fetch it again")
    wanted = set(path.read_text(encoding="utf-8").split())
    found = [(row, file) for row, one in enumerate(ids) if (file := one.rpartition("/")[2]) in wanted]
    if len(found) != subset.images or len({file for _, file in found}) != len(found):
        counts = collections.Counter(file for _, file in found)
        twice = sum(count > 1 for count in counts.values())
        raise DataError(
            f"the list {name} has {subset.images} images, of which this task's train has {len(counts)}"
            + (f", {twice} of them more than once" if twice else "")
            + f" among {len(ids)}; it is of ImageNet-1k's whole train"
        )
    return np.array([row for row, _ in found], dtype=np.int64)

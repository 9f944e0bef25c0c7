"""scikit-learn's digits: 1,797 real handwritten digits of 8x8 pixels that lie inside a dependency, so always at hand.

The source's values 0 … 16 (how many of 16 dots are ink) become grey values floor((255 v + 8) / 16), that is 255 v / 16
rounded, halves upward. It has no split of its own; ours is by class: the samples of a class in order of
sha256("digits <row>"), the first 36 to test, the next 18 to val, the rest to train: 1,257 / 180 / 360.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import importlib.util
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, missing_package

TEST_PER_CLASS = 36
VAL_PER_CLASS = 18


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`: there is nothing to choose."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return scikit-learn's file of digits, without importing scikit-learn; `root` is not used."""
    cards.from_table(Options, options, "data")
    spec = importlib.util.find_spec("sklearn")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            return [path]
    raise missing_package("scikit-learn", "", "the digits dataset")


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return train, val and test; an id is the row in scikit-learn's file."""
    [path] = locate(options, root)
    table = _table(path)
    pixels = ((table[:, :64] * 255 + 8) // 16).astype(np.uint8).reshape(-1, 8, 8)
    labels = table[:, 64]
    return {
        name: Split(Pixels(pixels), rows, tuple(map(str, rows.tolist())), labels[rows], tuple("0123456789"))
        for name, rows in _split(labels).items()
    }


@dataclasses.dataclass(frozen=True, eq=False)
class Pixels:
    """All digits: 115 kB, so it travels whole."""

    pixels: NDArray[np.uint8]  # (images, 8, 8)

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return digit `index`: uint8 (8, 8)."""
        image: NDArray[np.uint8] = self.pixels[index]
        return image


def _table(path: Path) -> NDArray[np.int64]:
    """Return the file's rows: 64 values 0 … 16 and the digit."""
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.float64).astype(np.int64)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}. Install scikit-learn again.") from error
    if table.shape != (1797, 65) or table[:, :64].min() < 0 or table[:, :64].max() > 16:
        raise DataError(f"{path} does not hold 1,797 digits of 64 values 0 to 16. Install scikit-learn again.")
    return table


def _split(labels: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return split name → rows, ascending."""
    rows: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for label in range(10):
        own = sorted(np.flatnonzero(labels == label).tolist(), key=_draw)
        rows["test"] += own[:TEST_PER_CLASS]
        rows["val"] += own[TEST_PER_CLASS : TEST_PER_CLASS + VAL_PER_CLASS]
        rows["train"] += own[TEST_PER_CLASS + VAL_PER_CLASS :]
    return {name: np.array(sorted(own), dtype=np.int64) for name, own in rows.items()}


def _draw(row: int) -> bytes:
    return hashlib.sha256(f"digits {row}".encode()).digest()

"""smallNORB from its authors' binary matrices: toys from all sides, labelled by azimuth or elevation; first camera.

A matrix file is a magic number, the number of dimensions, at least three sizes, all 32-bit little-endian, and the data
(https://cs.nyu.edu/~ylclab/data/norb-v1.0-small). Images are read one by one from the unpacked files.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, MissingError

FILES = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training-{part}.mat",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing-{part}.mat",
}
MAGIC = {"u1": 0x1E3D4C55, "<i4": 0x1E3D4C54}
"""Type of a matrix's values to the number that its file begins with."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder of the unpacked `.mat` files, relative to the data folder."""
    label: Literal["azimuth", "elevation"]
    """`azimuth`: 18 angles, 20 degrees apart; `elevation`: 9 angles, 5 degrees apart."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the files of images and of views; raise MissingError for the first that is not there."""
    folder = root / cards.from_table(Options, options, "data").path
    paths = [folder / name.format(part=part) for name in FILES.values() for part in ("dat", "info")]
    for path in paths:
        if not path.is_file():
            raise MissingError(f"there is no file {path}")
    return paths


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return train and test; an id is the row number. Raises DataError for a file that is no such matrix."""
    chosen = cards.from_table(Options, options, "data")
    locate(options, root)
    return {split: _load_split(root / chosen.path, split, chosen.label) for split in FILES}


@dataclasses.dataclass(frozen=True)
class Views:
    """The first camera's images, by row."""

    path: Path
    shape: tuple[int, ...]
    """Images, cameras, height, width."""
    offset: int
    """Where the data begin."""

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image `index`: uint8 (height, width)."""
        size = math.prod(self.shape[2:])
        with self.path.open("rb") as file:
            file.seek(self.offset + index * self.shape[1] * size)
            return np.frombuffer(file.read(size), dtype=np.uint8).reshape(self.shape[2:])


def _load_split(folder: Path, split: str, label: str) -> Split:
    images, info = (folder / FILES[split].format(part=part) for part in ("dat", "info"))
    shape, offset = _header(images, "u1", 4)
    (rows, columns), start = _header(info, "<i4", 2)
    if rows != shape[0] or columns != 4:
        raise DataError(f"{info} holds {rows} rows of {columns} numbers, but {images} {shape[0]} images of 4 each")
    views = np.fromfile(info, dtype="<i4", offset=start).reshape(rows, 4)  # instance, elevation, azimuth, lighting
    labels = views[:, 2] // 2 if label == "azimuth" else views[:, 1]
    positions = np.arange(rows)
    ids = tuple(map(str, positions.tolist()))
    return Split(Views(images, shape, offset), positions, ids, labels.astype(np.int64))


def _header(path: Path, kind: str, dimensions: int) -> tuple[tuple[int, ...], int]:
    """Return a matrix file's shape and where its data begin; raise DataError where type or length do not fit."""
    with path.open("rb") as file:
        if file.read(8) != struct.pack("<II", MAGIC[kind], dimensions):
            raise DataError(f"{path} is no matrix of {dimensions} dimensions of type {kind}. Unpack it again.")
        sizes = file.read(4 * max(3, dimensions))
        shape, offset = struct.unpack_from(f"<{dimensions}I", sizes.ljust(16, b"\0")), file.tell()
    if path.stat().st_size != offset + math.prod(shape) * np.dtype(kind).itemsize:
        raise DataError(f"{path} is not as long as its header says. Unpack it again.")
    return shape, offset

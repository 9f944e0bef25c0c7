"""Arrays in a NumPy .npz file, one array of images and one of labels per split.

The images of a split are read into memory when a process first asks for one of them.
"""

from __future__ import annotations

import dataclasses
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import labels
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, MissingError, UsageError, did_you_mean


@dataclasses.dataclass(frozen=True)
class Keys:
    """The names of a split's arrays."""

    images: str
    """uint8 (images, height, width) or (images, height, width, 3)."""
    labels: str
    """Whole numbers (images,) or (images, 1); with `column`, (images, columns); with `several`, (images, classes)."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The file, relative to the data folder."""
    splits: Mapping[str, Keys]
    """Split name to the names of its arrays."""
    column: int = -1
    """Which column of the labels array to take; -1: it has only one."""
    several: bool = False
    """True: labels say of every class whether it holds, 1, or not, 0, or is too hard to say, -1."""
    bins: int = 0
    """Join the label values 0 … `values` - 1 into this many classes of equal width; 0: take them as they are."""
    values: int = 0
    """Number of label values before they are binned."""
    scale: int = 1
    """What pixels are multiplied by: 255 for images of zeros and ones."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the file; raise MissingError where it is not there."""
    path = root / cards.from_table(Options, options, "data").path
    if not path.is_file():
        raise MissingError(f"there is no file {path}")
    return [path]


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits that `splits` names; an id is the row number in the split's arrays.

    Raises DataError for a damaged or pickled file and arrays of the wrong type or shape, UsageError for unknown keys.
    """
    chosen = cards.from_table(Options, options, "data")
    [path] = locate(options, root)
    splits = {}
    for name, keys in chosen.splits.items():
        shape = _image_shape(path, keys.images)
        found = _labels(path, keys.labels, chosen)
        if len(found) != shape[0]:
            raise DataError(f"{path}: {keys.images} holds {shape[0]} images, but {keys.labels} {len(found)} labels")
        source = Arrays(path, keys.images, shape[0], chosen.scale)
        splits[name] = Split(source, np.arange(shape[0]), tuple(map(str, range(shape[0]))), found)
    return splits


@dataclasses.dataclass(eq=False)
class Arrays:
    """The images of one array, by position."""

    path: Path
    key: str
    length: int
    scale: int = 1
    _pixels: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return self.length

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pixels": None}

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image `index`: uint8 (height, width) or (height, width, 3)."""
        if self._pixels is None:
            self._pixels = _array(self.path, self.key)
        image: NDArray[np.uint8] = (
            self._pixels[index] if self.scale == 1 else self._pixels[index] * np.uint8(self.scale)
        )
        return image.reshape(image.shape[:2]) if image.ndim == 3 and image.shape[2] == 1 else image


def _labels(path: Path, key: str, options: Options) -> NDArray[np.int64]:
    array = _array(path, key)
    if options.several:
        return labels.flags(array, f"{path}: {key}")
    if options.column >= 0:
        if array.ndim != 2 or options.column >= array.shape[1]:
            raise DataError(f"{path}: {key} of shape {array.shape} has no column {options.column}")
        array = array[:, options.column]
    found = labels.whole(array, f"{path}: {key}")
    if not options.bins:
        return found
    return labels.binned(found, options.bins, 0, options.values, f"{path}: {key}")


def _array(path: Path, key: str) -> NDArray[Any]:
    """Return one array; objects, which would run code when read, are refused."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if key not in arrays.files:
                known = ", ".join(arrays.files)
                raise UsageError(f"{path} has no array {key!r}.{did_you_mean(key, arrays.files)} It has: {known}")
            array: NDArray[Any] = arrays[key]
            return array
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise DataError(f"cannot read {key} of {path}: {error}") from error


def _image_shape(path: Path, key: str) -> tuple[int, ...]:
    """Return the shape of an array of images from its header alone."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
    except KeyError:
        return _array(path, key).shape  # raises the error that names the nearest key
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise DataError(f"cannot read {key} of {path}: {error}") from error
    grey = len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)
    if dtype != np.uint8 or not (grey or (len(shape) == 4 and shape[3] == 3)):
        raise DataError(f"{path}: {key} must be uint8 (images, height, width[, 3]), not {dtype} {shape}")
    return tuple(shape)

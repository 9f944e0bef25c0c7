"""Arrays in a NumPy .npz file, one array of images and one of labels per split.

The images of a split are read into memory when a process first asks for one of them; those of a large array one by
one, wherever they lie, in bounded memory.
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
from ssl_bench.datasets.deflated import Deflated
from ssl_bench.errors import DataError, MissingError, UsageError, did_you_mean

HELD = 1 << 28
"""Bytes of an array of images that is held in memory; a larger one that is deflated is read in place."""


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
        shape, header = _image_shape(path, keys.images)
        found = _labels(path, keys.labels, chosen)
        if len(found) != shape[0]:
            raise DataError(f"{path}: {keys.images} holds {shape[0]} images, but {keys.labels} {len(found)} labels")
        source = Arrays(path, keys.images, shape, chosen.scale, header)
        splits[name] = Split(source, np.arange(shape[0]), tuple(map(str, range(shape[0]))), found)
    return splits


@dataclasses.dataclass(eq=False)
class Arrays:
    """The images of one array, by position."""

    path: Path
    key: str
    shape: tuple[int, ...]
    """(images, height, width[, channels])."""
    scale: int = 1
    header: int = 0
    """Bytes before the pixels of an array that is read in place; 0: it is held."""
    _opened: NDArray[np.uint8] | Deflated | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image `index`: uint8 (height, width) or (height, width, 3)."""
        if self._opened is None:
            self._opened = _in_place(self.path, self.key) if self.header else _array(self.path, self.key)
        if isinstance(self._opened, Deflated):
            size = int(np.prod(self.shape[1:]))
            pixels = _bytes(self._opened, self.header + index * size, size)
            image: NDArray[np.uint8] = np.frombuffer(pixels, dtype=np.uint8).reshape(self.shape[1:])
        else:
            image = self._opened[index]
        if self.scale != 1:
            image = image * np.uint8(self.scale)
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


def _bytes(opened: Deflated, offset: int, size: int) -> bytes:
    try:
        return opened.read(offset, size)
    except (zlib.error, OSError) as error:
        raise DataError(f"{opened.path} changed since it was opened: {error}") from error


def _in_place(path: Path, key: str) -> Deflated:
    try:
        return Deflated(path, f"{key}.npy")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(f"cannot read {key} of {path}: {error}") from error


def _image_shape(path: Path, key: str) -> tuple[tuple[int, ...], int]:
    """Return the shape of an array of images, and how many bytes lie before its pixels if it is to be read in place.

    Only the array's header is read.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, columns_first, dtype = read(file)
            header, member = file.tell(), archive.getinfo(f"{key}.npy")
    except KeyError:
        return _array(path, key).shape, 0  # raises the error that names the nearest key
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise DataError(f"cannot read {key} of {path}: {error}") from error
    grey = len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)
    if dtype != np.uint8 or not (grey or (len(shape) == 4 and shape[3] == 3)):
        raise DataError(f"{path}: {key} must be uint8 (images, height, width[, 3]), not {dtype} {shape}")
    in_place = member.compress_type == zipfile.ZIP_DEFLATED and member.file_size > HELD and not columns_first
    return tuple(shape), header if in_place else 0

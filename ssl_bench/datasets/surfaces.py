"""Distances and normals as files keep them, and the part of each image that a benchmark shows and counts."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
from numpy.typing import NDArray

from ssl_bench.datasets.base import ImageSource
from ssl_bench.errors import DataError, UsageError
from ssl_bench.images import Raw, decode

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom are the first outside."""
LEAST_LENGTH = 0.5
"""Of a normal that is kept as a colour: a grey that stands for none is shorter."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """Which part of an image is shown at all, and of which part of that the truth counts."""

    cut: tuple[int, ...] = ()
    """The part that is shown: left, top, right, bottom in pixels; or width and height, for the middle of the lower
    edge, as KITTI is cut; empty: all."""
    counted: tuple[float, ...] = ()
    """The part of it that counts: left, top, right, bottom in pixels, or as shares of its width and height if none is
    above 1; empty: all."""

    def __post_init__(self) -> None:
        if len(self.cut) not in (0, 2, 4) or len(self.counted) not in (0, 4):
            raise UsageError("cut has 2 or 4 numbers, and counted has 4")

    def shown(self, height: int, width: int, where: str) -> Box:
        """Return the part of an image of this size that is shown; raise DataError where it has less."""
        if not self.cut:
            return 0, 0, width, height
        left, top = (width - self.cut[0]) // 2, height - self.cut[-1]
        box = (left, top, left + self.cut[0], height) if len(self.cut) == 2 else self.cut
        if min(box[:2]) < 0 or box[2] > width or box[3] > height:
            raise DataError(f"{where} is of {width}x{height} pixels, and data.cut shows more; correct the card")
        return box[0], box[1], box[2], box[3]

    def counts(self, height: int, width: int) -> tuple[slice, slice]:
        """Return the rows and columns of what is shown that count."""
        if not self.counted:
            return slice(0, height), slice(0, width)
        across, down = (width, height) if max(self.counted) <= 1 else (1, 1)
        left, top, right, bottom = self.counted
        return slice(int(top * down), int(bottom * down)), slice(int(left * across), int(right * across))

    def only_counted(self, values: NDArray[np.float32], where: str) -> NDArray[np.float32]:
        """Return what is shown of values (height, width) or (height, width, 3), with 0 for what does not count."""
        left, top, right, bottom = self.shown(values.shape[0], values.shape[1], where)
        shown = values[top:bottom, left:right]
        rows, columns = self.counts(*shown.shape[:2])
        found = np.zeros_like(shown)
        found[rows, columns] = shown[rows, columns]
        return found


@dataclasses.dataclass(frozen=True)
class Cut:
    """Images of which a part is shown, as pixels; it pickles as small as what it cuts."""

    source: ImageSource
    frame: Frame

    def __len__(self) -> int:
        return len(self.source)

    def read(self, index: int) -> Raw:
        """Return the part that is shown of image `index`: uint8 (height, width, 3)."""
        where = f"image {index}"
        image = decode(self.source.read(index), where).convert("RGB")
        return np.asarray(image.crop(self.frame.shown(image.height, image.width, where)))


def numbers(content: bytes, where: str) -> NDArray[np.generic]:
    """Return what a file of one number a pixel, or three, holds: a NumPy array, or an image of 8, 16 or 32 bits.

    Raises DataError naming `where` for a damaged file.
    """
    if content[:6] == b"\x93NUMPY":
        try:
            found: NDArray[np.generic] = np.load(io.BytesIO(content), allow_pickle=False)
        except ValueError as error:
            raise DataError(f"{where} is no whole NumPy array: {error}. Replace the file.") from error
        return found
    image = decode(content, where)
    return np.asarray(image.convert("RGB") if image.mode in ("P", "RGBA") else image)


def distances(values: NDArray[np.generic], metre: float, where: str) -> NDArray[np.float32]:
    """Return numbers (height, width) in metres, of which `metre` stand for one; what is not finite is unknown.

    Raises DataError for numbers of another shape.
    """
    if values.ndim != 2:
        raise DataError(f"{where} has the shape {values.shape}, and distances are one number a pixel")
    metres = np.asarray(values, dtype=np.float32) / np.float32(metre)
    return np.where(np.isfinite(metres), metres, np.float32(0))


def normals(values: NDArray[np.generic], where: str) -> NDArray[np.float32]:
    """Return directions (height, width, 3) of length 1, or 0 where none is known.

    Numbers of 8 bits are colours: 0 stands for -1 and 255 for 1, and black or a middle grey for none. Others are the
    directions themselves. Raises DataError for numbers of another shape.
    """
    if values.ndim != 3 or values.shape[2] != 3:
        raise DataError(f"{where} has the shape {values.shape}, and normals are three numbers a pixel")
    found = np.asarray(values, dtype=np.float32)
    least = 1e-6
    if values.dtype == np.uint8:
        found = np.where(values.any(axis=2, keepdims=True), found / np.float32(127.5) - 1, np.float32(0))
        least = LEAST_LENGTH
    lengths = np.linalg.norm(found, axis=2, keepdims=True)
    known = np.isfinite(lengths) & (lengths > least)
    return np.where(known, found / np.where(known, lengths, 1), 0).astype(np.float32)

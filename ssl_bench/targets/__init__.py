"""What is true of every part of an image: a class, a distance or a direction of every pixel, or the objects it shows.

Readers make them, protocols learn from those of train and val, and metrics compare with those of test. Places are in
pixels of the image as its source keeps it, from its upper left corner.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError

VOID = 255
"""In a mask: a pixel that counts for no class, neither in training nor in scoring."""


@dataclasses.dataclass(frozen=True, eq=False)
class Mask:
    """A class for every pixel."""

    labels: NDArray[np.uint8]  # (height, width): 0 … classes - 1, or VOID

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image that it is of."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def digest(self) -> bytes:
        """sha256 of all that it says."""
        return _digest("mask", self.labels)

    def check(self, classes: int, where: str) -> None:
        """Raise DataError naming `where` for a label outside the task's classes."""
        found = np.flatnonzero(np.bincount(self.labels.ravel(), minlength=VOID + 1)[classes:VOID])
        if len(found):
            label = int(found[0]) + classes
            row, column = np.argwhere(self.labels == label)[0]
            raise DataError(
                f"the mask of {where} has the label {label} at row {row}, column {column}, outside 0 to {classes - 1}; "
                f"map it to {VOID}, which is ignored, or correct the card's classes"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Distances:
    """A distance for every pixel, in metres."""

    metres: NDArray[np.float32]  # (height, width): 0 where it is not known

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image that it is of."""
        return self.metres.shape[0], self.metres.shape[1]

    @property
    def digest(self) -> bytes:
        """sha256 of all that it says."""
        return _digest("distances", self.metres)

    def check(self, classes: int, where: str) -> None:
        """Raise DataError naming `where` for a distance that is none."""
        if not np.isfinite(self.metres).all() or (self.metres < 0).any():
            raise DataError(f"the depths of {where} hold values that are not finite or below 0; write 0 for unknown")


@dataclasses.dataclass(frozen=True, eq=False)
class Directions:
    """A surface's normal for every pixel, in the camera's axes."""

    normals: NDArray[np.float32]  # (height, width, 3): of length 1, or 0 where it is not known

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image that it is of."""
        return self.normals.shape[0], self.normals.shape[1]

    @property
    def digest(self) -> bytes:
        """sha256 of all that it says."""
        return _digest("directions", self.normals)

    def check(self, classes: int, where: str) -> None:
        """Raise DataError naming `where` for a normal whose length is neither 0 nor 1."""
        lengths = np.linalg.norm(self.normals, axis=2)
        if not np.isfinite(lengths).all() or ((lengths > 1e-6) & (abs(lengths - 1) > 0.01)).any():
            raise DataError(f"the normals of {where} must have length 1, or 0 where they are not known")


@dataclasses.dataclass(frozen=True, eq=False)
class Objects:
    """The objects that an image shows; there may be none."""

    size: tuple[int, int]
    """Height and width of the image."""
    boxes: NDArray[np.float64]  # (objects, 4): left, top, right, bottom; right and bottom are the first outside
    labels: NDArray[np.int64]  # (objects,): 0 … classes - 1
    areas: NDArray[np.float64]  # (objects,): in square pixels, of the outline where there is one, else of the box
    crowd: NDArray[np.bool_]  # (objects,): many objects in one: never missed, and found ones in it count neither way
    difficult: NDArray[np.bool_]  # (objects,): VOC's mark, with the same effect on its metrics
    outlines: tuple[bytes, ...] = ()
    """COCO's compressed run lengths of every object's mask, column by column; empty where there are boxes alone."""
    absent: NDArray[np.int64] | None = None  # (classes,)
    """LVIS: besides those of `labels`, the classes that were looked for, in vain; of all others nothing is known. None:
    every class was looked for."""
    partial: NDArray[np.int64] | None = None  # (classes,)
    """LVIS: classes of which some objects may not be marked."""

    @property
    def digest(self) -> bytes:
        """sha256 of all that it says."""
        runs = np.frombuffer(b"\0".join(self.outlines), dtype=np.uint8)
        size = np.array(self.size)
        known = [one for one in (self.absent, self.partial) if one is not None]
        return _digest("objects", size, self.boxes, self.labels, self.areas, self.crowd, self.difficult, runs, *known)

    def check(self, classes: int, where: str) -> None:
        """Raise DataError naming `where` for a label outside the task's classes or a box that shows nothing."""
        height, width = self.size
        for number, (label, box) in enumerate(zip(self.labels.tolist(), self.boxes.tolist(), strict=True)):
            if not 0 <= label < classes:
                raise DataError(f"object {number} of {where} has the label {label}, outside 0 to {classes - 1}")
            left, top, right, bottom = box
            if not (left < right and top < bottom):
                raise DataError(f"object {number} of {where} has the box {box}, which has no area")
            if not (left < width and top < height and right > 0 and bottom > 0):
                raise DataError(f"object {number} of {where} has the box {box}, outside its {width}x{height} pixels")


@dataclasses.dataclass(frozen=True, eq=False)
class Landmarks:
    """Places of an object that have names, and the images of other objects in which the same places are to be found."""

    size: tuple[int, int]
    """Height and width of the image."""
    places: NDArray[np.float64]  # (landmarks, 2): x and y in pixels
    names: NDArray[np.int64]  # (landmarks,): which of its group's landmarks each is
    box: NDArray[np.float64]  # (4,): left, top, right, bottom of the object; its longer side is the measure of an error
    group: str
    """The class of the object: scores are means over groups."""
    partners: tuple[str, ...]
    """Names of the samples of the same split in which its landmarks are sought, where these have them too."""

    @property
    def digest(self) -> bytes:
        """sha256 of all that it says."""
        words = np.frombuffer("\0".join((self.group, *self.partners)).encode(), dtype=np.uint8)
        return _digest("landmarks", np.array(self.size), self.places, self.names, self.box, words)

    def check(self, classes: int, where: str) -> None:
        """Raise DataError naming `where` for a landmark outside the image, one that is named twice, or an empty box."""
        height, width = self.size
        outside = (self.places < 0).any(axis=1) | (self.places > (width, height)).any(axis=1)
        if outside.any() or not np.isfinite(self.places).all():
            place = self.places[int(outside.argmax())].tolist()
            raise DataError(f"{where} has a landmark at {place}, outside its {width}x{height} pixels")
        if len(np.unique(self.names)) < len(self.names):
            raise DataError(f"{where} has two landmarks of one name; remove one")
        if not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise DataError(f"{where} has the box {self.box.tolist()}, which holds no pixel")


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """The objects in a frame of a video, which keep their numbers from frame to frame."""

    labels: NDArray[np.uint8]  # (height, width): 0 for none of them, 1 … objects, or VOID
    video: str
    number: int
    """Of the frame in its video, from 0."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image that it is of."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def digest(self) -> bytes:
        """sha256 of all that it says."""
        name = np.frombuffer(self.video.encode(), dtype=np.uint8)
        return _digest("frame", self.labels, name, np.array(self.number))

    def check(self, classes: int, where: str) -> None:
        """Raise DataError naming `where` for the first frame of a video that shows no object to follow."""
        if self.number == 0 and not ((self.labels > 0) & (self.labels < VOID)).any():
            raise DataError(
                f"{where} is the first frame of {self.video!r} and shows no object to follow; remove the video"
            )


Target: TypeAlias = Mask | Distances | Directions | Objects | Landmarks | Frame
"""What is true of one image."""


class TargetSource(Protocol):
    """Targets by position, beside the images of the same positions. It pickles small and opens files when first read.

    `read` raises DataError, naming the entry, for what is damaged.
    """

    def __len__(self) -> int: ...

    def read(self, index: int) -> Any:
        """Return the `Target` of image `index`."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Targets:
    """The targets of an ordered set of samples."""

    source: TargetSource
    rows: NDArray[np.int64]
    """Position in `source` of each sample."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        """Return the `Target` of sample `index`."""
        return self.source.read(int(self.rows[index]))


@dataclasses.dataclass(frozen=True, eq=False)
class Joined:
    """Several sources, one after the other."""

    sources: tuple[TargetSource, ...]

    def __len__(self) -> int:
        return sum(len(source) for source in self.sources)

    def read(self, index: int) -> Any:
        """Return the target at `index` of all."""
        for source in self.sources:
            if index < len(source):
                return source.read(index)
            index -= len(source)
        raise IndexError(index)


def check(target: Target, size: tuple[int, int], classes: int, where: str) -> None:
    """Raise DataError naming `where` for a target that is not of an image of this height and width, or says what no
    target of the task's classes can say."""
    if target.size != size:
        height, width = target.size
        raise DataError(
            f"the target of {where} is of {width}x{height} pixels, but its image has {size[1]}x{size[0]}; "
            "correct the file or remove the pair"
        )
    target.check(classes, where)


def _digest(kind: str, *arrays: NDArray[Any]) -> bytes:
    total = hashlib.sha256(kind.encode())
    for array in arrays:
        total.update(f"\0{array.dtype.newbyteorder('<').str}{array.shape}\0".encode())
        total.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())
    return total.digest()

"""Videos whose first frame tells the objects that are to be followed through the others.

Protocols get the question alone. Where the objects are in the other frames, scoring knows.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.targets import VOID, Frame, Targets


@dataclasses.dataclass(frozen=True, eq=False)
class Video:
    """Frames in their order, and the objects in the first."""

    name: str
    frames: NDArray[np.int64]  # (frames,): positions in test
    first: NDArray[np.uint8]  # (height, width): 0 for none of the objects, 1 … objects
    objects: int


def draw(targets: Targets) -> tuple[Video, ...]:
    """Return the videos by the positions of their first frames.

    A video without its first frame, of which a part of a split holds a later part, is passed over. Raises DataError
    where none is left.
    """
    numbers: dict[str, dict[int, int]] = {}
    first: dict[str, NDArray[np.uint8]] = {}
    for position in range(len(targets)):
        frame: Frame = targets[position]
        numbers.setdefault(frame.video, {})[frame.number] = position
        if frame.number == 0:
            first[frame.video] = np.where(frame.labels == VOID, 0, frame.labels).astype(np.uint8)
    found = tuple(
        Video(name, np.array([numbers[name][number] for number in sorted(numbers[name])]), mask, int(mask.max()))
        for name, mask in first.items()
    )
    if not found:
        raise DataError("test holds the first frame of no video")
    return found

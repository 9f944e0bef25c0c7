"""Pairs of images of like objects: which places of the first are to be found in the second.

Protocols get the question alone. Where the places truly are, scoring knows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.targets import Landmarks, Targets


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """What is asked: of every pair, where the places of the first image are in the second."""

    first: NDArray[np.int64]  # (pairs,): positions in test
    second: NDArray[np.int64]  # (pairs,)
    places: tuple[NDArray[np.float64], ...]
    """Of every pair (landmarks, 2): x and y in the first image, as shares of its width and height."""


@dataclasses.dataclass(frozen=True, eq=False)
class Solutions:
    """What is true of the same pairs, pair by pair."""

    places: tuple[NDArray[np.float64], ...]
    """(landmarks, 2): x and y in the second image, in pixels."""
    names: tuple[NDArray[np.int64], ...]
    """(landmarks,): which of its group's each is."""
    sizes: tuple[tuple[int, int], ...]
    """Height and width of the second image."""
    measures: NDArray[np.float64]  # (pairs,): the longer side of the second object's box, in pixels
    groups: tuple[str, ...]


def draw(targets: Targets, ids: Sequence[str]) -> tuple[Pairs, Solutions]:
    """Return every pair of images with a landmark in common, by the position of the first and its list of partners.

    A partner that is not among `ids`, the names of the images, is passed over: a part of a split asks of its own images
    alone. Raises DataError where no pair is left.
    """
    marks: list[Landmarks] = [targets[position] for position in range(len(targets))]
    where = {name: position for position, name in enumerate(ids)}
    rows = [
        (one, where[name], *np.intersect1d(marks[one].names, marks[where[name]].names, return_indices=True))
        for one in range(len(marks))
        for name in marks[one].partners
        if name in where
    ]
    rows = [row for row in rows if len(row[2])]
    if not rows:
        raise DataError("no two images of test have a landmark in common")
    first, second = (np.array([row[column] for row in rows], dtype=np.int64) for column in (0, 1))
    asked = tuple(marks[one].places[mine] / marks[one].size[::-1] for one, _, _, mine, _ in rows)
    boxes = np.array([marks[other].box for other in second])
    return Pairs(first, second, asked), Solutions(
        places=tuple(marks[other].places[theirs] for _, other, _, _, theirs in rows),
        names=tuple(names for _, _, names, _, _ in rows),
        sizes=tuple(marks[other].size for other in second),
        measures=(boxes[:, 2:] - boxes[:, :2]).max(axis=1),
        groups=tuple(marks[one].group for one in first),
    )

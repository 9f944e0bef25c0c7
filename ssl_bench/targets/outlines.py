"""Outlines of objects as COCO keeps masks: compressed lengths of runs, column by column, outside and inside in turn.

The text is that of cocoapi's common/maskApi.c: five bits a character from "0" on, a sixth that says that more follow,
and from the fourth number on what it differs by from the one two before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError

Ints = NDArray[np.int64]
SUBPIXELS = 5
"""Parts of a pixel's side in which the edges of a polygon are drawn."""


def encode(mask: NDArray[np.bool_]) -> bytes:
    """Return the outline of a mask (height, width)."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    return compress(_lengths(np.flatnonzero(flat[1:] != flat[:-1]), mask.size))


def decode(outline: bytes, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask (height, width) of an outline; raise DataError where its runs do not fill that size."""
    runs = lengths(outline)
    if int(runs.sum()) != size[0] * size[1]:
        raise DataError(f"a run-length mask covers {int(runs.sum())} pixels, but its image has {size[1]}x{size[0]}")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(size, order="F")


def lengths(outline: bytes) -> Ints:
    """Return the lengths of the runs, the first outside the object; raise DataError for what is no such text."""
    digits = np.frombuffer(outline, dtype=np.uint8).astype(np.int64) - ord("0")
    more = digits & 32 > 0
    if not len(digits) or more[-1] or digits.min() < 0 or digits.max() > 63:
        raise DataError("a run-length mask is not COCO's compressed text")
    starts = np.concatenate([[0], np.flatnonzero(~more)[:-1] + 1])
    places = np.arange(len(digits)) - np.repeat(starts, np.diff([*starts, len(digits)]))
    values = np.add.reduceat((digits & 31) << 5 * np.minimum(places, 12), starts)
    negative = digits[~more] & 16 > 0
    values -= negative * (1 << 5 * (places[~more] + 1))
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    if values.min() < 0:
        raise DataError("a run-length mask has a run of negative length")
    return values


def compress(runs: Ints) -> bytes:
    """Return lengths of runs as COCO's text."""
    steps = runs.tolist()
    steps[3:] = (runs[3:] - runs[1:-2]).tolist()
    text = bytearray()
    for value in steps:
        while True:
            digit, value = value & 31, value >> 5
            last = value == (-1 if digit & 16 else 0)
            text.append(ord("0") + digit + (0 if last else 32))
            if last:
                break
    return bytes(text)


def areas(masks: Sequence[bytes]) -> NDArray[np.float64]:
    """Return how many pixels each outline holds."""
    return np.array([lengths(mask)[1::2].sum() for mask in masks], dtype=np.float64)


def overlaps(found: Sequence[bytes], true: Sequence[bytes], crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the overlap of outlines of one size with each other, (found, true): the shared pixels by those of both, or
    of the found one where the true one is a crowd."""
    edges = [np.cumsum(lengths(mask)) for mask in found]
    own = areas(found)[:, None]
    shared = np.zeros((len(found), len(true)))
    for column, mask in enumerate(true):
        before = _pixels_before(lengths(mask))
        for row, ends in enumerate(edges):
            counts = np.interp(ends, *before)
            shared[row, column] = counts[1::2].sum() - counts[: 2 * (len(ends) // 2) : 2].sum()
    whole = np.where(crowd, own, own + areas(true) - shared)
    return shared / np.maximum(whole, 1)


def _pixels_before(runs: Ints) -> tuple[Ints, Ints]:
    """Return places between which the number of the object's pixels before a place grows evenly, and those numbers."""
    inside = np.arange(len(runs)) % 2 == 1
    return np.concatenate([[0], np.cumsum(runs)]), np.concatenate([[0], np.cumsum(runs * inside)])


def polygon(corners: NDArray[np.float64], size: tuple[int, int]) -> bytes:
    """Return the outline of the polygon with these corners (corners, 2), x and y in pixels, in an image of this height
    and width: the same pixels as maskApi.c's rleFrPoly.

    Edges are drawn in fifths of a pixel; where one crosses the middle of a column of pixels, the column changes sides.
    """
    height, width = size
    along = _edges((SUBPIXELS * corners + 0.5).astype(np.int64))
    now, last = along[1:], along[:-1]
    crossing = now[:, 0] != last[:, 0]
    now, last = now[crossing], last[crossing]
    columns = (np.where(now[:, 0] < last[:, 0], now[:, 0], now[:, 0] - 1) + 0.5) / SUBPIXELS - 0.5
    rows = np.ceil(np.clip((np.minimum(now[:, 1], last[:, 1]) + 0.5) / SUBPIXELS - 0.5, 0, height))
    kept = (columns == np.floor(columns)) & (columns >= 0) & (columns <= width - 1)
    places, times = np.unique((columns * height + rows)[kept].astype(np.int64), return_counts=True)
    return compress(_lengths(places[times % 2 == 1], height * width))


def _edges(corners: Ints) -> Ints:
    """Return the points (points, 2) of a closed line through corners, one for every step of each edge's longer side."""
    parts = []
    for begin, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        long = int(abs(end[1] - begin[1]) > abs(end[0] - begin[0]))  # the axis along which it is longer
        turned = begin[long] > end[long]
        low, high = (end, begin) if turned else (begin, end)
        steps = np.arange(high[long] - low[long] + 1)
        slope = (high[1 - long] - low[1 - long]) / max(len(steps) - 1, 1)
        points = np.empty((len(steps), 2), dtype=np.int64)
        points[:, long] = low[long] + steps
        points[:, 1 - long] = (low[1 - long] + slope * steps + 0.5).astype(np.int64)
        parts.append(points[::-1] if turned else points)
    return np.concatenate(parts)


def _lengths(turns: Ints, pixels: int) -> Ints:
    """Return the lengths of runs that begin at these places of all pixels, the first outside."""
    return np.diff(np.concatenate([[0], turns[turns < pixels], [pixels]]))

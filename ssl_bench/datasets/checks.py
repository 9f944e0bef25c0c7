"""What is wrong with a task's images: those that do not decode, and those that train and test share.

Two images are the same where their bytes are, and nearly the same where the signs of their differences are: each is
shrunk to 9 x 8 grey pixels, and 64 bits say whether a pixel is brighter than its left neighbour (dHash, Krawetz 2013).
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import os
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError
from ssl_bench.images import decode

NEAR = 3
"""Bits of 64 in which nearly the same images may differ."""
FLAT = 8
"""An image whose 64 bits hold fewer ones, or zeros, than this has too little in it to be told from others."""

Advance = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two samples of different splits that are the same image, or nearly."""

    split: str
    sample: str
    other_split: str
    other: str
    bits: int
    """0 and `same`: equal bytes; else the number of bits in which the pictures' signs differ."""
    same: bool
    labels_agree: bool


@dataclasses.dataclass(frozen=True)
class Seen:
    """What decoding one image told."""

    bits: int = 0
    """64 bits of the picture; 0 for one that does not decode."""
    fault: str = ""
    """Why it does not decode."""


Looked = Mapping[str, list[Seen]]
"""Split to what each of its images told, in the split's order."""


def look(splits: Mapping[str, Split], advance: Advance) -> Looked:
    """Decode every image once, in threads: decoding lets others run."""
    found: dict[str, list[Seen]] = {}
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for role, split in splits.items():
            found[role] = []
            for seen in pool.map(_look, itertools.repeat(split), range(len(split))):
                found[role].append(seen)
                advance(1)
    return found


def _look(split: Split, index: int) -> Seen:
    from PIL import Image

    try:
        image = decode(split.read(index), split.ids[index])
    except DataError as error:
        return Seen(fault=str(error))
    pixels = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    return Seen(int.from_bytes(np.packbits(pixels[:, 1:] > pixels[:, :-1]).tobytes(), "big"))


def undecodable(looked: Looked) -> list[str]:
    """Return a line for every image that is no whole image."""
    return [f"{role}: {seen.fault}" for role, images in looked.items() for seen in images if seen.fault]


def equal_pairs(splits: Mapping[str, Split], digests: Mapping[str, NDArray[np.uint8]]) -> list[Pair]:
    """Return the samples of later splits whose bytes an earlier split holds too; `digests` are (samples, 32)."""
    seen: dict[bytes, tuple[str, int]] = {}
    pairs = []
    for role in splits:
        own = [row.tobytes() for row in digests[role]]
        for index, digest in enumerate(own):
            if digest in seen and seen[digest][0] != role:
                pairs.append(_pair(splits, role, index, *seen[digest], bits=0, same=True))
        for index, digest in enumerate(own):
            seen.setdefault(digest, (role, index))
    return pairs


def near_pairs(splits: Mapping[str, Split], looked: Looked) -> list[Pair]:
    """Return, for every sample of a later split, the nearest of the earlier splits if it is nearly the same image."""
    hashes = {role: np.array([seen.bits for seen in images], dtype=np.uint64) for role, images in looked.items()}
    pairs = []
    roles = list(splits)
    for place, role in enumerate(roles):
        for earlier in roles[:place]:
            nearest, bits = _nearest(hashes[role], hashes[earlier])
            chosen = np.flatnonzero((bits <= NEAR) & _telling(hashes[role]))
            pairs += [
                _pair(splits, role, int(i), earlier, int(nearest[i]), bits=int(bits[i]), same=False) for i in chosen
            ]
    return pairs


def _telling(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    ones = np.bitwise_count(hashes)
    return (ones >= FLAT) & (ones <= 64 - FLAT)


def _nearest(hashes: NDArray[np.uint64], others: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the place of the nearest of `others` and in how many bits it differs, for each of `hashes`."""
    where, bits = np.zeros(len(hashes), dtype=np.int64), np.full(len(hashes), 64, dtype=np.int64)
    if not len(others):
        return where, bits
    step = max(1, 2**24 // len(others))
    for start in range(0, len(hashes), step):
        rows = slice(start, start + step)
        differ = np.bitwise_count(hashes[rows, None] ^ others[None, :])
        where[rows] = differ.argmin(axis=1)
        bits[rows] = differ.min(axis=1)
    return where, bits


def _pair(
    splits: Mapping[str, Split], role: str, index: int, earlier: str, other: int, *, bits: int, same: bool
) -> Pair:
    mine, theirs = splits[role], splits[earlier]
    agree = np.array_equal(mine.labels[index], theirs.labels[other])
    return Pair(role, mine.ids[index], earlier, theirs.ids[other], bits, same, agree)

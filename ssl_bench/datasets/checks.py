"""What is wrong with a task's images: those that do not decode, those that train and test share, and those that lack.

Two images are the same where their bytes are, and nearly the same where the signs of their differences are: each is
shrunk to 9 x 8 grey pixels, and 64 bits say whether a pixel is brighter than its left neighbour (dHash, Krawetz 2013);
where nearly all bits are equal, the grey values of 32 x 32 pixels must correlate as well. On MNIST and PneumoniaMNIST,
whose pictures are all of one kind, the bits alone find thousands of pairs, a sixth of them of different classes.
A model finds two images alike where the cosine of their features is large: a matter of degree, and of the model.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import os
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ssl_bench.datasets.base import Split, digest_image
from ssl_bench.errors import DataError, MissingError
from ssl_bench.images import decode
from ssl_bench.images import size as image_size
from ssl_bench.targets import check as check_target
from ssl_bench.tasks import TaskCard

NEAR = 3
"""Bits of 64 in which nearly the same images may differ."""
CORRELATION = 0.9
"""Of the grey values of nearly the same images, at least."""
FLAT = 8
"""An image whose 64 bits hold fewer ones, or zeros, than this has too little in it to be told from others."""

PART = 64
"""Images that a thread looks at before it takes others."""
BLOCK = 1024
"""Samples that are compared with all others at once."""

Advance = Callable[[int], None]


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two samples of different splits that are the same image, or nearly."""

    split: str
    sample: str
    other_split: str
    other: str
    labels_agree: bool
    bits: int = 0
    """The number of bits in which the pictures' signs differ."""
    cosine: float = 1.0
    """Of the features that a model gives."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """What decoding one image told."""

    bits: int = 0
    """64 bits of the picture; 0 for one that does not decode."""
    fault: str = ""
    """Why it does not decode."""
    digest: bytes = b""
    """Of the image as its source keeps it; empty where it cannot be read."""


Looked = Mapping[str, list[Seen]]
"""Split to what each of its images told, in the split's order."""


def look(splits: Mapping[str, Split], advance: Advance) -> Looked:
    """Decode every image once, in threads: decoding lets others run. They read neighbours in the source."""
    found: dict[str, list[Seen]] = {}
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for role, split in splits.items():
            order = np.argsort(split.rows, kind="stable").tolist()
            parts = [order[start : start + PART] for start in range(0, len(order), PART)]
            if order:
                _look(split, order[0])  # whatever is opened or unpacked at first use, one thread does
            found[role] = [Seen()] * len(split)
            for part, seen in zip(parts, pool.map(_look_at, itertools.repeat(split), parts), strict=True):
                for position, one in zip(part, seen, strict=True):
                    found[role][position] = one
                advance(len(part))
    return found


def _look_at(split: Split, positions: list[int]) -> list[Seen]:
    return [_look(split, position) for position in positions]


def _look(split: Split, index: int) -> Seen:
    from PIL import Image

    digest = b""
    try:
        raw = split.read(index)
        digest = digest_image(raw)
        image = decode(raw, split.ids[index])
    except (DataError, MissingError) as error:
        return Seen(fault=str(error), digest=digest)
    pixels = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = np.packbits(pixels[:, 1:] > pixels[:, :-1])
    return Seen(int.from_bytes(bits.tobytes(), "big"), digest=digest)


def digests(looked: Looked) -> dict[str, NDArray[np.uint8]] | None:
    """Return every image's digest (samples, 32) by role, or None where an image could not be read."""
    if not all(seen.digest for images in looked.values() for seen in images):
        return None
    return {
        role: np.frombuffer(b"".join(seen.digest for seen in images), dtype=np.uint8).reshape(-1, 32)
        for role, images in looked.items()
    }


def undecodable(looked: Looked) -> list[str]:
    """Return a line for every image that is no whole image."""
    return [f"{role}: {seen.fault}" for role, images in looked.items() for seen in images if seen.fault]


def wrong_targets(card: TaskCard, splits: Mapping[str, Split]) -> list[str]:
    """Return a line for every target that is damaged, not of its image's size, or says what the card does not know."""

    def fault(role: str, position: int) -> str:
        split = splits[role]
        assert split.targets is not None
        try:
            size = image_size(split.read(position), split.ids[position])
            check_target(split.targets[position], size, card.classes, split.ids[position])
        except (DataError, MissingError) as error:
            return f"{role}: {error}"
        return ""

    places = [(role, i) for role, split in splits.items() if split.targets is not None for i in range(len(split))]
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return [line for line in pool.map(lambda place: fault(*place), places) if line]


def equal_pairs(splits: Mapping[str, Split], digests: Mapping[str, NDArray[np.uint8]]) -> list[Pair]:
    """Return the samples of later splits whose bytes an earlier split holds too; `digests` are (samples, 32)."""
    seen: dict[bytes, tuple[str, int]] = {}
    pairs = []
    for role in splits:
        own = [row.tobytes() for row in digests[role]]
        for index, digest in enumerate(own):
            if digest in seen and seen[digest][0] != role:
                pairs.append(_pair(splits, role, index, *seen[digest]))
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
            chosen = [
                i
                for i in np.flatnonzero((bits <= NEAR) & _telling(hashes[role]))
                if correlation(splits[role], int(i), splits[earlier], int(nearest[i])) >= CORRELATION
            ]
            pairs += [_pair(splits, role, int(i), earlier, int(nearest[i]), bits=int(bits[i])) for i in chosen]
    return pairs


def alike_pairs(
    splits: Mapping[str, Split], features: Mapping[str, NDArray[np.float32]], at_least: float
) -> list[Pair]:
    """Return, for every sample of a later split, the one of the earlier splits that a model finds most like it, if the
    cosine of their `features` (samples, dim) is `at_least` so large; the most alike come first.
    """
    scaled = {
        role: own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12) for role, own in features.items()
    }
    pairs = []
    roles = list(splits)
    for place, role in enumerate(roles):
        for earlier in roles[:place]:
            for start in range(0, len(scaled[role]), BLOCK):
                cosines = scaled[role][start : start + BLOCK] @ scaled[earlier].T
                nearest, best = cosines.argmax(axis=1), cosines.max(axis=1)
                pairs += [
                    _pair(splits, role, start + int(i), earlier, int(nearest[i]), cosine=float(best[i]))
                    for i in np.flatnonzero(best >= at_least)
                ]
    return sorted(pairs, key=lambda pair: -pair.cosine)


def disagreements(card: TaskCard, splits: Mapping[str, Split], task_digest: str) -> list[str]:
    """Return a line for each number of samples, and the digest, that is not what the card says."""
    wanted = card.source.samples
    lines = [
        f"{role} has {len(split):,} samples, but the card says {wanted[role]:,}"
        for role, split in splits.items()
        if role in wanted and len(split) != wanted[role]
    ]
    lines += [f"there is no {role}, of which the card says {wanted[role]:,} samples" for role in wanted.keys() - splits]
    if not lines and card.source.digest and card.source.digest != task_digest:
        lines.append(f"the digest is not the card's, {card.source.digest}: an image, a label or a name differs")
    return lines


def empty_classes(card: TaskCard, splits: Mapping[str, Split]) -> dict[str, list[str]]:
    """Return the classes of which a role has no sample, by name where they have one; shifts are left out."""
    found = {}
    for role, split in splits.items():
        if card.classes and role not in card.shifts:
            names = split.class_names or card.class_names or tuple(map(str, range(card.classes)))
            absent = set(range(card.classes)) - set(_present(split).tolist())
            if absent:
                found[role] = [names[label] for label in sorted(absent)]
    return found


def _present(split: Split) -> NDArray[np.int64]:
    """Return the labels that hold of a sample, or of a part of one."""
    if split.targets is not None:
        with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            found = pool.map(lambda i: np.unique(split.targets[i].labels), range(len(split)))  # type: ignore[index]
            return np.array(sorted(set().union(*(one.tolist() for one in found))), dtype=np.int64)
    return np.unique(split.labels) if split.labels.ndim == 1 else np.flatnonzero((split.labels == 1).any(axis=0))


def correlation(split: Split, index: int, other: Split, place: int) -> float:
    """Return the correlation of two images' grey values, both shrunk to 32 x 32 pixels; 0 for one of a single grey."""
    one, two = (_grey(part, i) for part, i in ((split, index), (other, place)))
    scale = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(one @ two) / scale if scale else 0.0


def _grey(split: Split, index: int) -> NDArray[np.float32]:
    from PIL import Image

    image = decode(split.read(index), split.ids[index]).convert("L").resize((32, 32), Image.Resampling.BOX)
    pixels: NDArray[np.float32] = np.asarray(image, dtype=np.float32).ravel()
    pixels -= pixels.mean()
    return pixels


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
    splits: Mapping[str, Split], role: str, index: int, earlier: str, other: int, bits: int = 0, cosine: float = 1.0
) -> Pair:
    mine, theirs = splits[role], splits[earlier]
    label, known = mine.labels[index], theirs.labels[other]
    alike = label.shape == known.shape
    agree = np.array_equal(label, known) if alike else bool(np.isin(label, known).any())  # one of those that are right
    return Pair(role, mine.ids[index], earlier, theirs.ids[other], agree, bits, cosine)

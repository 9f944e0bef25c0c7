"""Split expressions and the order of samples: `train[:800]` slices, `train+val` joins.

A slice counts in the split's order, which is the source's own or, with `order = "tfds"`, that in which TensorFlow
Datasets writes a split: sorted by md5(split name + key). So the splits of VTAB-1k follow from file names and row
numbers without TensorFlow (tensorflow/datasets, core/hashing.py and core/writer.py).
"""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_bench import targets
from ssl_bench.datasets.base import ImageSource, Split
from ssl_bench.errors import DataError, UsageError, did_you_mean
from ssl_bench.images import Raw
from ssl_bench.targets import TargetSource
from ssl_bench.tasks import ROLES, Splits

TFDS_NAMES = {"val": "validation", "valid": "validation"}
"""How TensorFlow Datasets calls a split that its source calls otherwise; the name salts the order."""

_PART = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<start>\d*):(?P<stop>\d*)\])?")


@dataclasses.dataclass(frozen=True)
class Part:
    """Samples `start` to `stop` (exclusive; None: to the end) of one of the source's splits."""

    split: str
    start: int = 0
    stop: int | None = None

    def __str__(self) -> str:
        whole = self.start == 0 and self.stop is None
        return self.split if whole else f"{self.split}[{self.start or ''}:{'' if self.stop is None else self.stop}]"


def parse(expression: str) -> tuple[Part, ...]:
    """Return the parts of an expression such as "train[:800]+val"; raise UsageError for anything else."""
    parts = []
    for text in expression.split("+"):
        match = _PART.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"the split {expression!r} is not written like 'train', 'train[:800]' or 'train+val'")
        start, stop = match["start"], match["stop"]
        parts.append(Part(match["name"], int(start or 0), int(stop) if stop else None))
    return tuple(parts)


def tfds_order(keys: Iterable[str | int], salt: str) -> NDArray[np.int64]:
    """Return the positions of `keys` in the order of TensorFlow Datasets: by md5(salt + key) as a number."""
    salted = hashlib.md5(salt.encode(), usedforsecurity=False)
    digests = []
    for key in keys:
        digest = salted.copy()
        digest.update(str(key).encode())
        digests.append(digest.digest())
    return np.array(sorted(range(len(digests)), key=digests.__getitem__), dtype=np.int64)


def tfds_key(template: str, sample_id: str) -> str:
    """Return the key that TensorFlow Datasets gives a sample: `{id}`, its `{folder}` and its `{file}` filled in."""
    head, _, file = sample_id.rpartition("/")
    values = {"id": sample_id, "file": file, "folder": head.rpartition("/")[2]}

    def fill(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise UsageError(f"splits.key: {match[0]} is not one of {', '.join('{' + name + '}' for name in values)}")
        return values[match[1]]

    return re.sub(r"\{(\w*)\}", fill, template)


def assign(splits: Splits, source: Mapping[str, Split]) -> dict[str, Split]:
    """Return the roles "train", "test" and, if the card names one, "val", made of the source's splits.

    Raises UsageError for an expression that names an unknown split or reaches beyond it, DataError where two roles
    share a sample.
    """
    ordered: dict[str, Split] = {}
    roles: dict[str, Split] = {}
    owners: dict[str, dict[str, NDArray[np.int64]]] = {}
    for role in ROLES:
        expression: str = getattr(splits, role)
        if not expression:
            continue
        pieces = []
        for part in parse(expression):
            if part.split not in ordered:
                ordered[part.split] = _order(splits, part.split, _named(part.split, source))
            piece = _slice(part, ordered[part.split])
            _claim(owners.setdefault(part.split, {}), role, piece, part)
            pieces.append(piece)
        roles[role] = join(pieces)
    return roles


def select(expression: str, source: Mapping[str, Split]) -> Split:
    """Return what an expression such as "1+2" names, in the source's order; raise UsageError as `assign`."""
    return join([_slice(part, _named(part.split, source)) for part in parse(expression)])


def join(pieces: Sequence[Split]) -> Split:
    """Return several splits as one; raise DataError where their classes are not the same."""
    first = pieces[0]
    if len(pieces) == 1:
        return first
    if any(p.class_names != first.class_names or p.labels.shape[1:] != first.labels.shape[1:] for p in pieces):
        raise DataError("the splits that are joined do not have the same classes")
    starts = [0, *itertools.accumulate(len(piece.source) for piece in pieces)]
    return Split(
        joined([piece.source for piece in pieces]),
        np.concatenate([piece.rows + start for piece, start in zip(pieces, starts, strict=False)]),
        tuple(itertools.chain.from_iterable(piece.ids for piece in pieces)),
        np.concatenate([piece.labels for piece in pieces]),
        first.class_names,
        _truth(pieces),
    )


def joined(sources: Sequence[ImageSource]) -> ImageSource:
    """Return the images of several sources, one after the other."""
    if len(sources) == 1:
        return sources[0]
    return Joined(tuple(sources), (0, *itertools.accumulate(map(len, sources))))


def _truth(pieces: Sequence[Split]) -> TargetSource | None:
    """Return the targets of several splits one after the other; None where they have none."""
    sources = [piece.truth for piece in pieces if piece.truth is not None]
    if len(sources) not in (0, len(pieces)):
        raise DataError("some of the splits that are joined have targets and others have not")
    return targets.Joined(tuple(sources)) if sources else None


@dataclasses.dataclass(frozen=True)
class Joined:
    """Several sources, one after the other."""

    sources: tuple[ImageSource, ...]
    starts: tuple[int, ...]
    """Position of each source's first image, and the number of all images."""

    def __len__(self) -> int:
        return self.starts[-1]

    def read(self, index: int) -> Raw:
        """Return image `index`, counted through all sources."""
        which = bisect.bisect_right(self.starts, index) - 1
        return self.sources[which].read(index - self.starts[which])


def _named(name: str, source: Mapping[str, Split]) -> Split:
    if name not in source:
        raise UsageError(f"the source has no split {name!r}.{did_you_mean(name, source)} It has: {', '.join(source)}")
    return source[name]


def _order(splits: Splits, name: str, split: Split) -> Split:
    if splits.order == "source":
        return split
    return split.take(tfds_order((tfds_key(splits.key, i) for i in split.ids), TFDS_NAMES.get(name, name)))


def _slice(part: Part, split: Split) -> Split:
    stop = len(split) if part.stop is None else part.stop
    if not part.start < stop <= len(split):
        raise UsageError(f"the split {part} asks for what is not there: {part.split} holds {len(split)} samples")
    return split.take(slice(part.start, stop))


def _claim(owners: dict[str, NDArray[np.int64]], role: str, piece: Split, part: Part) -> None:
    """Note that `role` uses these rows of one source split; raise DataError where another role, or itself, did."""
    for other, rows in owners.items():
        shared = np.intersect1d(rows, piece.rows)
        if len(shared):
            sample = piece.ids[int(np.flatnonzero(piece.rows == shared[0])[0])]
            raise DataError(f"{role} and {other} share {len(shared)} samples of {part.split}, such as {sample!r}")
    owners[role] = piece.rows if role not in owners else np.concatenate([owners[role], piece.rows])

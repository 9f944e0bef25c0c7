"""Features: every distinct image passes a backbone once; what it gave is kept on disk under what caused it.

The cache is one folder per *feature key* (weights, architecture, input, pooling, precision) and holds *blocks*: rows of
features beside the digests of their images. Tasks, splits and protocols that share an image share its row. A block's
digest file is written last and makes it whole, so a killed run keeps every finished block, two runs at once lose
nothing, and a run that is repeated extracts exactly the images that no block holds.
"""

from __future__ import annotations

import dataclasses
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards, interrupts
from ssl_bench.backbones.base import Backbone
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError
from ssl_bench.extraction import Spec, compute
from ssl_bench.files import atomic_write, canonical_json, lock, write_text
from ssl_bench.loading import Work
from ssl_bench.progress import Progress
from ssl_bench.shared_features import FEATURES, IMAGES, SharedFeatures

FLUSH_IMAGES = 4096
FLUSH_BYTES = 2**28
FLUSH_SECONDS = 30.0
"""A block is written when it holds this much, or after this time."""

Digests = NDArray[np.uint8]


@dataclasses.dataclass
class Cost:
    """What extraction took."""

    extracted: int = 0
    """Images that passed the network."""
    cached: int = 0
    """Images whose features were read from the cache."""
    seconds: float = 0.0
    bytes: int = 0
    """Of the features that were extracted."""

    def add(self, other: Cost) -> None:
        """Add up what another extraction took."""
        self.extracted += other.extracted
        self.cached += other.cached
        self.seconds += other.seconds
        self.bytes += other.bytes


def _names(digests: Digests) -> NDArray[np.bytes_]:
    """Return the first 16 bytes of each image digest (images, ≥16) as one comparable value each (images,)."""
    return np.ascontiguousarray(digests[:, :16]).view("S16").reshape(-1)


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """The features of a sequence of images, read from memory-mapped blocks when indexed."""

    blocks: tuple[NDArray[Any], ...]
    block: NDArray[np.int64]  # (images,): which of `blocks` holds each image's row
    place: NDArray[np.int64]  # (images,): where in it

    def __len__(self) -> int:
        return len(self.block)

    @property
    def shape(self) -> tuple[int, ...]:
        """(images, dim) of pooled features, (images, dim, height, width) of maps."""
        return (len(self), *self.blocks[0].shape[1:])

    def __getitem__(self, positions: NDArray[np.int64] | slice) -> NDArray[Any]:
        """Return the rows at `positions`, in that order."""
        block, place = self.block[positions], self.place[positions]
        result = np.empty((len(block), *self.blocks[0].shape[1:]), dtype=self.blocks[0].dtype)
        for number in np.unique(block):
            here = block == number
            result[here] = self.blocks[number][place[here]]
        return result


class FeatureStore:
    """The feature cache under one folder, and what other machines have put into a shared place, where one is named."""

    def __init__(self, root: Path, shared: Path | str = "") -> None:
        self.root = root / "features"
        self._shared = SharedFeatures(shared, root) if shared else None
        self._blocks: dict[str, list[tuple[Path, NDArray[np.bytes_]]]] = {}

    def folder(self, spec: Spec) -> Path:
        return self.root / spec.key[:2] / spec.key

    def missing(self, spec: Spec, digests: Digests) -> int:
        """Return how many distinct images of `digests` (images, 32) no block holds."""
        return len(np.setdiff1d(_names(digests), self._held(spec)))

    def _held(self, spec: Spec) -> NDArray[np.bytes_]:
        """Return the names of all images that a whole block holds."""
        return np.concatenate([names for _, names in self._scan(spec)] or [np.empty(0, "S16")])

    def _scan(self, spec: Spec) -> list[tuple[Path, NDArray[np.bytes_]]]:
        """Return each whole block's feature file and image names, in a fixed order; set aside what cannot be read."""
        known = dict(self._blocks.get(spec.key, []))
        blocks = []
        for marker in sorted(self.folder(spec).glob(f"*{IMAGES}")):
            path = marker.with_name(marker.name.replace(IMAGES, FEATURES))
            names = known.get(path)
            if names is None:
                names = self._read_block(marker, path)
            if names is not None:
                blocks.append((path, names))
        self._blocks[spec.key] = blocks
        return blocks

    @staticmethod
    def _read_block(marker: Path, path: Path) -> NDArray[np.bytes_] | None:
        try:
            names = _names(np.load(marker, allow_pickle=False))
            features = np.load(path, mmap_mode="r", allow_pickle=False)
            if features.ndim in (2, 4) and len(features) == len(names):
                return names
        except (OSError, ValueError, EOFError, IndexError):
            pass
        marker.replace(marker.with_suffix(".unreadable"))
        return None

    def rows(self, spec: Spec, digests: Digests) -> Rows:
        """Return where the features of `digests` lie, in their order; raise DataError if the cache lacks one."""
        wanted = _names(digests)
        block, place = np.full(len(wanted), -1), np.zeros(len(wanted), dtype=np.int64)
        paths: list[Path] = []
        for path, names in self._scan(spec):
            order = np.argsort(names)
            found = order[np.minimum(np.searchsorted(names, wanted, sorter=order), len(names) - 1)]
            hits = (block < 0) & (names[found] == wanted)
            block[hits], place[hits] = len(paths), found[hits]
            paths.append(path)
        if (block < 0).any():
            raise DataError(f"the feature cache {self.folder(spec)} lost {int((block < 0).sum())} images; run again")
        return Rows(tuple(np.load(path, mmap_mode="r", allow_pickle=False) for path in paths), block, place)

    def _write_block(self, spec: Spec, digests: list[Digests], features: list[NDArray[Any]]) -> None:
        stem = self.folder(spec) / uuid.uuid4().hex
        with atomic_write(stem.with_suffix(FEATURES)) as file:
            np.save(file, np.concatenate(features), allow_pickle=False)
        with atomic_write(stem.with_suffix(IMAGES)) as file:
            np.save(file, np.stack(digests)[:, :16], allow_pickle=False)
        if self._shared is not None:
            self._shared.give(stem)

    def features(
        self, backbone: Backbone, spec: Spec, split: Split, digests: Digests, work: Work, progress: Progress, label: str
    ) -> tuple[Rows, Cost]:
        """Return the features of a split and what they cost; see `extract`."""
        cost = self.extract(backbone, spec, split, digests, work, progress, label)
        return self.rows(spec, digests), cost

    def extract(
        self,
        backbone: Backbone,
        spec: Spec,
        split: Split,
        digests: Digests,
        work: Work,
        progress: Progress,
        label: str,
        shard: str = "",
    ) -> Cost:
        """Extract of a split what is missing, and return the cost; shards of other names do not wait for one another.

        Raises DataError for an image that cannot be decoded; what was extracted before it is kept.
        """
        cost = Cost()
        if self.missing(spec, digests):
            waiting = f"{label}: another run is extracting the same features; waiting for it"
            with lock(self.folder(spec) / f"lock{shard}", on_wait=lambda: progress.say(waiting)):
                if self._shared is not None:
                    self._shared.take(self.folder(spec), np.setdiff1d(_names(digests), self._held(spec)))
                self._extract(backbone, spec, split, digests, work, progress, label, cost)
        cost.cached = len(split) - cost.extracted
        return cost

    def _extract(
        self,
        backbone: Backbone,
        spec: Spec,
        split: Split,
        digests: Digests,
        work: Work,
        progress: Progress,
        label: str,
        cost: Cost,
    ) -> None:
        names, first = np.unique(_names(digests), return_index=True)
        positions = np.sort(first[~np.isin(names, self._held(spec))])
        if len(positions) == 0:
            return
        if not (said := self.folder(spec) / "spec.json").is_file():
            write_text(said, canonical_json({"first_asked_for": label, **cards.plain(spec)}))
        kept: list[Digests] = []
        rows: list[NDArray[Any]] = []
        start = last = time.monotonic()
        try:
            with progress.track(label, len(positions)) as advance:
                for chosen, features in compute(backbone, spec, split, digests, positions, work):
                    kept.extend(digests[chosen])
                    rows.append(features)
                    cost.extracted += len(chosen)
                    cost.bytes += features.nbytes
                    advance(len(chosen))
                    full = len(kept) >= FLUSH_IMAGES or len(rows) * rows[-1].nbytes >= FLUSH_BYTES
                    if full or time.monotonic() - last > FLUSH_SECONDS:
                        self._write_block(spec, kept, rows)
                        kept, rows, last = [], [], time.monotonic()
                    interrupts.check()
        finally:
            if kept:
                self._write_block(spec, kept, rows)
            cost.seconds += time.monotonic() - start

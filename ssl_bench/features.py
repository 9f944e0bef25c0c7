"""Features: every distinct image passes a backbone once; what it gave is kept on disk under what caused it.

The cache is one folder per *feature key* (weights, architecture, input, pooling, precision) and holds *blocks*: rows of
features beside the digests of their images. Tasks, splits and protocols that share an image share its row. A block's
digest file is written last and makes it whole, so a killed run keeps every finished block, two runs at once lose
nothing, and a run that is repeated extracts exactly the images that no block holds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.backbones.base import Backbone
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, SslBenchError, UsageError
from ssl_bench.files import atomic_write, canonical_json, digest_json, lock, write_text
from ssl_bench.images import InputSpec, decode, normalise, pixels
from ssl_bench.progress import Progress

if TYPE_CHECKING:
    from torch import Tensor

CACHE_VERSION = 1
"""Rises when decoding, transforming or storing changes a feature."""
PRECISION = "float32"
FLUSH_IMAGES = 4096
FLUSH_SECONDS = 30.0

Digests = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Spec:
    """What causes a feature, besides the image."""

    weights_digest: str
    arch: Mapping[str, Any]
    input: InputSpec
    pooled: str
    """The resolved pooling."""
    precision: str = PRECISION

    @property
    def resolved(self) -> dict[str, Any]:
        """The record's account of the features that were used."""
        return {"input": cards.plain(self.input), "pooled": self.pooled, "precision": self.precision}

    @property
    def key(self) -> str:
        """sha256 (hex) of all that causes a feature."""
        return digest_json(
            {
                "arch": cards.plain(self.arch),
                "cache": CACHE_VERSION,
                "weights": self.weights_digest,
                **self.resolved,
            }
        )


@dataclasses.dataclass
class Cost:
    """What extraction took."""

    extracted: int = 0
    """Images that passed the network."""
    cached: int = 0
    """Images whose features were read from the cache."""
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Work:
    """How extraction is done; nothing here changes a feature."""

    device: str = "cpu"
    batch_size: int = 64
    workers: int = -1


def _names(digests: Digests) -> NDArray[np.bytes_]:
    """Return the first 16 bytes of each image digest (images, ≥16) as one comparable value each (images,)."""
    return np.ascontiguousarray(digests[:, :16]).view("S16").reshape(-1)


class FeatureStore:
    """The feature cache under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root / "features"
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
        for marker in sorted(self.folder(spec).glob("*.images.npy")):
            path = marker.with_name(marker.name.replace(".images.npy", ".features.npy"))
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
            if features.ndim == 2 and len(features) == len(names):
                return names
        except (OSError, ValueError, EOFError, IndexError):
            pass
        marker.replace(marker.with_suffix(".unreadable"))
        return None

    def read(self, spec: Spec, digests: Digests) -> NDArray[np.float32]:
        """Return the features (images, dim) of `digests`, in their order; raise DataError if the cache lacks one."""
        wanted = _names(digests)
        result: NDArray[np.float32] | None = None
        filled = np.zeros(len(wanted), dtype=bool)
        for path, names in self._scan(spec):
            order = np.argsort(names)
            place = np.minimum(np.searchsorted(names, wanted, sorter=order), len(names) - 1)
            hits = ~filled & (names[order[place]] == wanted)
            if hits.any():
                features = np.load(path, mmap_mode="r", allow_pickle=False)
                if result is None:
                    result = np.empty((len(wanted), features.shape[1]), dtype=np.float32)
                result[hits] = features[order[place[hits]]]
                filled |= hits
        if result is None or not filled.all():
            raise DataError(f"the feature cache {self.folder(spec)} lost {int((~filled).sum())} images; run again")
        return result

    def _write_block(self, spec: Spec, digests: list[Digests], features: list[NDArray[np.float32]]) -> None:
        stem = self.folder(spec) / uuid.uuid4().hex
        with atomic_write(stem.with_suffix(".features.npy")) as file:
            np.save(file, np.concatenate(features), allow_pickle=False)
        with atomic_write(stem.with_suffix(".images.npy")) as file:
            np.save(file, np.stack(digests)[:, :16], allow_pickle=False)

    def features(
        self, backbone: Backbone, spec: Spec, split: Split, digests: Digests, work: Work, progress: Progress, label: str
    ) -> tuple[NDArray[np.float32], Cost]:
        """Return the pooled features (images, dim) of a split and what they cost, extracting only what is missing.

        Raises DataError for an image that cannot be decoded; what was extracted before it is kept.
        """
        cost = Cost()
        if self.missing(spec, digests):
            waiting = f"{label}: another run is extracting the same features; waiting for it"
            with lock(self.folder(spec) / "lock", on_wait=lambda: progress.say(waiting)):
                self._extract(backbone, spec, split, digests, work, progress, label, cost)
        cost.cached = len(split) - cost.extracted
        return self.read(spec, digests), cost

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
        write_text(self.folder(spec) / "spec.json", canonical_json(cards.plain(spec)))
        kept: list[Digests] = []
        rows: list[NDArray[np.float32]] = []
        start = last = time.monotonic()
        try:
            with progress.track(label, len(positions)) as advance:
                for chosen, features in compute(backbone, spec, split, digests, positions, work):
                    kept.extend(digests[chosen])
                    rows.append(features)
                    cost.extracted += len(chosen)
                    advance(len(chosen))
                    if len(kept) >= FLUSH_IMAGES or time.monotonic() - last > FLUSH_SECONDS:
                        self._write_block(spec, kept, rows)
                        kept, rows, last = [], [], time.monotonic()
        finally:
            if kept:
                self._write_block(spec, kept, rows)
            cost.seconds += time.monotonic() - start


def compute(
    backbone: Backbone, spec: Spec, split: Split, digests: Digests, positions: NDArray[np.int64], work: Work
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Get the features of the images at `positions`, from the network or from what the backbone knows of them."""
    if not backbone.recalls:
        yield from forward(backbone, spec, split, positions, work)
    elif len(positions):
        yield positions, backbone.recall(digests[positions]).pooled.float().cpu().numpy()


def forward(
    backbone: Backbone, spec: Spec, split: Split, positions: NDArray[np.int64], work: Work
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Pass the images at `positions` through the network, batch by batch: (positions, features (images, dim))."""
    import torch

    if backbone.network is not None:
        backbone.network.to(work.device).eval()
    for chosen, images in batches(split, spec.input, positions, work):
        with torch.inference_mode(), _fitting(spec.input):
            batch = normalise(images.to(work.device, non_blocking=True), spec.input)
            pooled = backbone.forward(batch, spec.pooled).pooled
        yield chosen, pooled.float().cpu().numpy()


@contextlib.contextmanager
def _fitting(spec: InputSpec) -> Iterator[None]:
    """Say in one line that a network refuses its input; what ran out of memory says so itself."""
    try:
        yield
    except (AssertionError, RuntimeError, ValueError) as error:
        if "out of memory" in str(error):
            raise
        height, width = spec.size
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"the network refuses {spec.channels} images of {height}x{width} pixels: {reason}") from error


@dataclasses.dataclass(frozen=True)
class _Decoder:
    """Decodes batches in worker processes; errors travel back as values, since exceptions lose their shape there."""

    split: Split
    input: InputSpec
    batches: Sequence[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[NDArray[np.int64], NDArray[np.uint8] | str]:
        chosen = self.batches[index]
        try:
            return chosen, np.stack([self.image(int(position)) for position in chosen])
        except SslBenchError as error:
            return chosen, str(error)

    def image(self, position: int) -> NDArray[np.uint8]:
        return pixels(decode(self.split.read(position), self.split.ids[position]), self.input)


def batches(
    split: Split, spec: InputSpec, positions: NDArray[np.int64], work: Work
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Give (positions, uint8 images (images, channels, height, width)) in order; raise DataError for a bad one."""
    from torch.utils.data import DataLoader

    size = max(1, work.batch_size)
    groups = [positions[i : i + size] for i in range(0, len(positions), size)]
    workers = _worker_count(split, len(positions)) if work.workers < 0 else work.workers
    loader: Any = DataLoader(
        _Decoder(split, spec, groups),  # type: ignore[arg-type]
        batch_size=None,
        num_workers=min(workers, len(groups)),
        prefetch_factor=4 if workers else None,
    )
    for chosen, images in loader:
        if isinstance(images, str):
            raise DataError(images)
        yield chosen.numpy(), images


def _worker_count(split: Split, images: int) -> int:
    """Raw arrays and short work are decoded faster in the main process than workers can start."""
    import os

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    encoded = isinstance(split.read(0), bytes)
    return 0 if images < 512 or not encoded else min(8, max(1, cores - 1))

"""Images of a split through a backbone: decoded in worker processes, normalised on the device, batch by batch."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.backbones.base import Backbone
from ssl_bench.datasets.base import Split, digest_image
from ssl_bench.errors import DataError, SslBenchError, UsageError
from ssl_bench.files import digest_json
from ssl_bench.images import Augmentation, InputSpec, augmented, decode, normalise, pixels

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

CACHE_VERSION = 1
"""Rises when decoding, transforming or storing changes a feature."""
PRECISION = "float32"
PRECISIONS = (PRECISION, "bfloat16", "float16")
"""Of the arithmetic inside the network, by torch.autocast. Features are kept in float32, and in half the space for
float16: rounding float32 features so moved up to 0.25 % of kNN's predictions on real data, so it is never done unasked.
"""
DENSE = "dense"
"""The name of the map among the poolings of a feature spec."""
TURNS = {"rot90": 1, "rot180": 2, "rot270": 3}
"""Quarter turns anticlockwise."""
CROPS = {f"crop{number}": number for number in range(10)}
"""Random crops of an image, flipped or not: what each shows depends on its number and the image alone."""
CROP = Augmentation(scale=(0.2, 1.0))
"""How they are cropped: transform B of WangYueFt/rfs, dataset/transform_cfg.py, for images of any size."""
VIEWS = ("", *TURNS, *CROPS)
"""Changes of every image."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """What causes a feature, besides the image."""

    weights_digest: str
    arch: Mapping[str, Any]
    input: InputSpec
    pooled: str
    """The resolved pooling."""
    precision: str = PRECISION
    view: str = ""
    """A change of every image before the network sees it, of `VIEWS`."""

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
                **({"view": self.view} if self.view else {}),
            }
        )


@dataclasses.dataclass(frozen=True)
class Work:
    """How extraction is done; nothing here changes a feature."""

    device: str = "cpu"
    batch_size: int = 0
    """Images per forward pass; 0: as many as are usual for the device."""
    workers: int = -1
    """Decoding processes; -1 chooses."""
    compile: bool = False
    """True: torch.compile the forward pass, which takes about half a minute and a C++ compiler on the CPU."""

    @property
    def images_at_once(self) -> int:
        """Images that are decoded and passed together; fewer pass where memory runs out."""
        return self.batch_size or (64 if self.device == "cpu" else 256)


def compute(
    backbone: Backbone, spec: Spec, split: Split, digests: NDArray[np.uint8], positions: NDArray[np.int64], work: Work
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Get the features of the images at `positions`, from the network or from what the backbone knows of them."""
    if backbone.recalls and spec.view:
        raise UsageError("these features came without a network, so none can be had of turned or cropped images")
    if not backbone.recalls:
        yield from forward(backbone, spec, split, positions, work)
    elif len(positions):
        yield positions, backbone.recall(digests[positions]).pooled.float().cpu().numpy()


def forward(
    backbone: Backbone, spec: Spec, split: Split, positions: NDArray[np.int64], work: Work
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Pass the images at `positions` through the network, batch by batch: (positions, features (images, …))."""
    run = _Pass(backbone, spec, work)
    parts = _grouped(positions, work.images_at_once)
    crop = CROPS.get(spec.view)
    decoder = _Decoder(split, spec.input, parts) if crop is None else _Cropper(split, spec.input, parts, crop)
    for chosen, images in _loaded(decoder, work, len(positions)):
        yield chosen, run(images)


class _Pass:
    """Images through a network, in parts that fit into memory."""

    def __init__(self, backbone: Backbone, spec: Spec, work: Work) -> None:
        import torch

        self.backbone, self.spec, self.device = backbone, spec, torch.device(work.device)
        self.most = work.images_at_once
        if backbone.network is not None:
            backbone.network.to(self.device).eval()
        self.say = torch.compile(backbone.forward) if work.compile else backbone.forward

    def __call__(self, images: Tensor) -> NDArray[Any]:
        """Return the features of uint8 images (images, channels, height, width)."""
        parts: list[NDArray[Any]] = []
        done = 0
        while done < len(images):
            part = images[done : done + self.most]
            try:
                parts.append(self._features(part))
                done += len(part)
            except (RuntimeError, MemoryError) as error:
                if len(part) == 1 or not _is_out_of_memory(error):
                    raise
                self.most = (len(part) + 1) // 2
        return np.concatenate(parts)

    def _features(self, images: Tensor) -> NDArray[Any]:
        import torch

        lower = self.spec.precision != PRECISION
        cast = torch.autocast(self.device.type, getattr(torch, self.spec.precision), enabled=lower)
        with torch.inference_mode(), cast, _fitting(self.spec.input):
            batch = normalise(images.to(self.device, non_blocking=True), self.spec.input)
            if self.spec.view in TURNS:
                batch = torch.rot90(batch, TURNS[self.spec.view], (2, 3))
            found: NDArray[Any] = self._said(batch).cpu().numpy()
        return found

    def _said(self, batch: Tensor) -> Tensor:
        """Return the pooling (images, dim), or the map (images, dim, height, width), float16."""
        if self.spec.pooled != DENSE:
            pooled = self.say(batch, self.spec.pooled).pooled
            return pooled.half() if self.spec.precision == "float16" else pooled.float()
        dense = self.say(batch, self.backbone.default_pooling).dense
        if dense is None:
            raise UsageError("this model gives no map of features, which the protocol needs")
        return dense.half()


def _is_out_of_memory(error: Exception) -> bool:
    """True for what torch says on a GPU and on the CPU, and for Python's own."""
    text = str(error)
    return isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text


@contextlib.contextmanager
def _fitting(spec: InputSpec) -> Iterator[None]:
    """Say in one line that a network refuses its input; what ran out of memory says so itself."""
    try:
        yield
    except (AssertionError, RuntimeError, ValueError) as error:
        if _is_out_of_memory(error):
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
            return chosen, np.stack([self.image(index, place) for place in range(len(chosen))])
        except SslBenchError as error:
            return chosen, str(error)

    def image(self, batch: int, place: int) -> NDArray[np.uint8]:
        """Return the image at a place of a batch as the network sees it."""
        return pixels(self.decoded(batch, place), self.input)

    def decoded(self, batch: int, place: int) -> Image.Image:
        position = int(self.batches[batch][place])
        return decode(self.split.read(position), self.split.ids[position])


@dataclasses.dataclass(frozen=True)
class _Augmenter(_Decoder):
    """Crops and flips what it decodes."""

    augmentation: Augmentation
    seed: int

    def image(self, batch: int, place: int) -> NDArray[np.uint8]:
        position, count = int(self.batches[batch][place]), batch * len(self.batches[0]) + place
        generator = np.random.default_rng([self.seed, count, position])
        return augmented(self.decoded(batch, place), self.input, self.augmentation, generator)


@dataclasses.dataclass(frozen=True)
class _Cropper(_Decoder):
    """Crops and flips what it decodes, an image always in the same way."""

    number: int

    def image(self, batch: int, place: int) -> NDArray[np.uint8]:
        position = int(self.batches[batch][place])
        raw = self.split.read(position)
        generator = np.random.default_rng([self.number, int.from_bytes(digest_image(raw)[:8], "little")])
        return augmented(decode(raw, self.split.ids[position]), self.input, CROP, generator)


def augmented_batches(
    split: Split,
    spec: InputSpec,
    augmentation: Augmentation,
    order: NDArray[np.int64],
    size: int,
    seed: int,
    work: Work,
) -> Iterator[Tensor]:
    """Give the images at `order` cropped and flipped at random, normalised and on the device, up to `size` at a time.

    What a place in `order` gets depends on `seed`, the place and the sample alone.
    """
    for _, images in _loaded(_Augmenter(split, spec, _grouped(order, size), augmentation, seed), work, len(order)):
        yield normalise(images.to(work.device, non_blocking=True), spec)


def batches(
    split: Split, spec: InputSpec, positions: NDArray[np.int64], work: Work
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Give (positions, uint8 images (images, channels, height, width)) in order; raise DataError for a bad one."""
    return _loaded(_Decoder(split, spec, _grouped(positions, work.images_at_once)), work, len(positions))


def _grouped(positions: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    return [positions[i : i + max(1, size)] for i in range(0, len(positions), max(1, size))]


def _loaded(decoder: _Decoder, work: Work, images_in_all: int) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Give what a decoder makes of each batch, in order, from as many processes as pay."""
    from torch.utils.data import DataLoader

    workers = _worker_count(decoder.split, images_in_all) if work.workers < 0 else work.workers
    loader: Any = DataLoader(
        decoder,  # type: ignore[arg-type]
        batch_size=None,
        num_workers=min(workers, len(decoder)),
        prefetch_factor=4 if workers else None,
        pin_memory=work.device != "cpu",
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

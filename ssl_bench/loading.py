"""Images of a split, decoded batch by batch while the network works, in order and in bounded memory.

On the CPU threads do it: decoding and resizing let others run, and what a source holds in memory is held once. Beside a
GPU processes do it, since hundreds of threads' turns a second would hold up the thread that feeds it; they write into
memory that both sides see. Which of them decodes, and how many there are, changes no pixel.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.datasets.base import Split, digest_image
from ssl_bench.errors import DataError, SslBenchError
from ssl_bench.images import Augmentation, InputSpec, augmented, coloured, normalise, pixels, resampling, training
from ssl_bench.images.training import TrainingAugmentation

if TYPE_CHECKING:
    from torch import Tensor

AHEAD = 3
"""Batches that are decoded, or being decoded, before they are asked for."""
CHUNK = 8
"""Images that a thread decodes before it looks for other work."""
MANY = 512
"""Images from which on compiled resizing and processes pay for their start."""

Made = TypeVar("Made")
Batch: TypeAlias = "tuple[NDArray[np.int64], Tensor]"
"""Positions, and uint8 images (images, channels, height, width)."""


@dataclasses.dataclass(frozen=True)
class Work:
    """How images are decoded and passed through a network; nothing here changes a feature."""

    device: str = "cpu"
    batch_size: int = 0
    """Images per forward pass; 0: as many as are usual for the device."""
    workers: int = -1
    """Decoding threads, or processes beside a GPU; 0: none, one image after the other; -1 chooses."""
    compile: bool = False
    """True: torch.compile the forward pass, which takes about half a minute and a C++ compiler on the CPU."""

    @property
    def images_at_once(self) -> int:
        """Images that are decoded and passed together; fewer pass where memory runs out."""
        return self.batch_size or (64 if self.device == "cpu" else 256)


@dataclasses.dataclass(frozen=True)
class _Decoder:
    """Decodes batches; errors travel back as values, since exceptions lose their shape between processes."""

    split: Split
    input: InputSpec
    batches: Sequence[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Tensor | str:
        """Return a batch in memory that other processes see, or what is wrong with it."""
        images: Any = self.empty(index)
        images.share_memory_()
        try:
            self.fill(images.numpy(), index, 0, len(images))
        except SslBenchError as error:
            images = str(error)
        return images  # type: ignore[no-any-return]

    def empty(self, index: int, pinned: bool = False) -> Tensor:
        """Return room for a batch; pinned memory is copied to a GPU while that works."""
        import torch

        channels = 1 if self.input.channels == "grey" else 3
        return torch.empty((len(self.batches[index]), channels, *self.input.size), dtype=torch.uint8, pin_memory=pinned)

    def fill(self, images: NDArray[np.uint8], index: int, start: int, stop: int) -> None:
        """Decode the places from `start` to `stop` of a batch into `images`."""
        for place in range(start, stop):
            position = int(self.batches[index][place])
            images[place] = self.image(index, place, position)

    def image(self, batch: int, place: int, position: int) -> NDArray[np.uint8]:
        """Return an image as the network sees it."""
        return pixels(coloured(self.split.read(position), self.split.ids[position], self.input), self.input)


@dataclasses.dataclass(frozen=True)
class _Augmenter(_Decoder):
    """Crops and flips what it decodes."""

    augmentation: Augmentation
    seed: int
    places: Sequence[NDArray[np.int64]]
    """Of the images of each batch, in whatever order they are drawn from."""

    def image(self, batch: int, place: int, position: int) -> NDArray[np.uint8]:
        drawn = (self.seed, int(self.places[batch][place]), position)
        image = coloured(self.split.read(position), self.split.ids[position], self.input)
        if isinstance(self.augmentation, TrainingAugmentation):
            return training.trained(image, self.input, self.augmentation, training.seed_of(*drawn))
        return augmented(image, self.input, self.augmentation, np.random.default_rng(drawn))


@dataclasses.dataclass(frozen=True)
class Crop:
    """One random crop of every image, flipped or not: what it shows depends on the number and the image alone."""

    number: int
    augmentation: Augmentation


@dataclasses.dataclass(frozen=True)
class _Cropper(_Decoder):
    """Crops and flips what it decodes, an image always in the same way."""

    crop: Crop

    def image(self, batch: int, place: int, position: int) -> NDArray[np.uint8]:
        raw = self.split.read(position)
        generator = np.random.default_rng([self.crop.number, int.from_bytes(digest_image(raw)[:8], "little")])
        image = coloured(raw, self.split.ids[position], self.input)
        return augmented(image, self.input, self.crop.augmentation, generator)


def augmented_batches(
    split: Split,
    spec: InputSpec,
    augmentation: Augmentation | None,
    order: NDArray[np.int64],
    size: int | Sequence[int],
    seed: int,
    work: Work,
    places: NDArray[np.int64] | None = None,
) -> Iterator[Tensor]:
    """Give the images at `order` augmented, normalised and on the device, up to `size` or just as many at a time.

    What an image gets depends on `seed`, its place and the sample alone; `places` None are those in `order`.
    """
    parts = _grouped(order, size)
    if augmentation is None:
        for _, images in on_device(_loaded(_Decoder(split, spec, parts), work), work):
            yield normalise(images, spec)
        return
    drawn = _grouped(np.arange(len(order)) if places is None else places, size)
    loaded = _loaded(_Augmenter(split, spec, parts, augmentation, seed, drawn), work)
    for (chosen, images), where in zip(on_device(loaded, work), drawn, strict=True):
        normal = normalise(images, spec)
        if isinstance(augmentation, TrainingAugmentation) and augmentation.erase:
            seeds = [
                training.seed_of(seed, place, position, 1)  # other draws than those of the crop
                for place, position in zip(where.tolist(), chosen.tolist(), strict=True)
            ]
            training.erase(normal, augmentation, seeds)
        yield normal


def prepared(
    split: Split,
    spec: InputSpec,
    prepare: Callable[[NDArray[np.uint8], Any, np.random.Generator], Made],
    order: NDArray[np.int64],
    places: NDArray[np.int64],
    seed: int,
    work: Work,
) -> Iterator[Made]:
    """Give what `prepare` makes of the images at `order` and their targets, in order, a few ahead.

    Images are whole, uint8 (height, width, 3), RGB, or (height, width) where `spec` is grey. Each gets a generator that
    depends on `seed`, its place and the sample alone. Raises DataError for the first that cannot be decoded.
    """

    def make(place: int, position: int) -> Made:
        image = np.asarray(coloured(split.read(position), split.ids[position], spec))
        target = None if split.targets is None else split.targets[position]
        return prepare(image, target, np.random.default_rng((seed, place, position)))

    pairs = list(zip(places.tolist(), order.tolist(), strict=True))
    workers = worker_count() if work.workers < 0 else work.workers
    if not workers or not pairs:
        yield from (make(*pair) for pair in pairs)
        return
    split.read(pairs[0][1])  # whatever is opened or unpacked at first use, one thread does
    pool = concurrent.futures.ThreadPoolExecutor(workers, "preparing")
    waiting: collections.deque[concurrent.futures.Future[Made]] = collections.deque()
    try:
        for pair in pairs:
            waiting.append(pool.submit(make, *pair))
            if len(waiting) > AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def batches(
    split: Split, spec: InputSpec, positions: NDArray[np.int64], work: Work, crop: Crop | None = None
) -> Iterator[Batch]:
    """Give (positions, uint8 images (images, channels, height, width)) in order, whole or cropped at random.

    Raises DataError for the first image that cannot be decoded, after the batches before it.
    """
    parts = _grouped(positions, work.images_at_once)
    return _loaded(_Decoder(split, spec, parts) if crop is None else _Cropper(split, spec, parts, crop), work)


def on_device(given: Iterator[Batch], work: Work) -> Iterator[Batch]:
    """Give batches on the device; a GPU copies the next one while it works on the last."""
    if not work.device.startswith("cuda"):
        for chosen, images in given:
            yield chosen, images.to(work.device)
        return
    import torch

    copying: Any = torch.cuda.Stream(work.device)  # type: ignore[no-untyped-call]
    waiting: collections.deque[tuple[NDArray[np.int64], Tensor, Any]] = collections.deque()
    for chosen, images in given:
        with torch.cuda.stream(copying):
            waiting.append((chosen, images.to(work.device, non_blocking=True), copying.record_event()))
        if len(waiting) > 1:
            yield _copied(*waiting.popleft())
    while waiting:
        yield _copied(*waiting.popleft())


def _copied(chosen: NDArray[np.int64], images: Tensor, done: Any) -> Batch:
    """Let the network's stream wait for a copy, and keep its memory until that stream has used it."""
    import torch

    current = torch.cuda.current_stream(images.device)
    current.wait_event(done)
    images.record_stream(current)
    return chosen, images


def _grouped(positions: NDArray[np.int64], size: int | Sequence[int]) -> list[NDArray[np.int64]]:
    if not isinstance(size, int):
        return np.split(positions, np.cumsum(size)[:-1])
    return [positions[i : i + max(1, size)] for i in range(0, len(positions), max(1, size))]


def _loaded(decoder: _Decoder, work: Work) -> Iterator[Batch]:
    """Give what a decoder makes of each batch, in order."""
    if not len(decoder):
        return iter(())
    images = sum(map(len, decoder.batches))
    workers = worker_count() if work.workers < 0 else work.workers
    beside_gpu = work.device.startswith("cuda") and images >= MANY and isinstance(decoder.split.read(0), bytes)
    if workers and beside_gpu:
        resampling.prepare()  # before processes start, so that they have it
        return _by_processes(decoder, min(workers, len(decoder)))
    if images >= MANY:
        threading.Thread(target=resampling.prepare, daemon=True).start()
    return _by_threads(decoder, workers, pinned=work.device.startswith("cuda"))


def worker_count() -> int:
    """Return how many threads or processes decode unless told otherwise."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(16, max(1, cores - 1))


def _by_threads(decoder: _Decoder, workers: int, pinned: bool) -> Iterator[Batch]:
    """Decode a few batches ahead in threads of this process; without any, each image when it is asked for."""
    if not workers:
        for index, chosen in enumerate(decoder.batches):
            images = decoder.empty(index, pinned)
            decoder.fill(images.numpy(), index, 0, len(chosen))
            yield chosen, images
        return
    decoder.split.read(int(decoder.batches[0][0]))  # whatever is opened or unpacked at first use, one thread does
    waiting: collections.deque[tuple[int, Tensor, list[concurrent.futures.Future[None]]]] = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(workers, "decoding")

    def begin(index: int) -> None:
        images = decoder.empty(index, pinned)
        room, count = images.numpy(), len(images)
        parts = [(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
        waiting.append((index, images, [pool.submit(decoder.fill, room, index, *part) for part in parts]))

    try:
        for index in range(len(decoder) + AHEAD):
            if index < len(decoder):
                begin(index)
            if index >= AHEAD and waiting:
                done, images, parts = waiting.popleft()
                for part in parts:
                    part.result()
                yield decoder.batches[done], images
    finally:
        pool.shutdown(cancel_futures=True)


def _by_processes(decoder: _Decoder, workers: int) -> Iterator[Batch]:
    """Decode a few batches ahead in processes; raise DataError where one of them ends early."""
    import torch
    from torch.utils.data import DataLoader

    ahead = max(1, -(-AHEAD * 2 // workers))
    loader: Any = DataLoader(
        decoder,  # type: ignore[arg-type]
        batch_size=None,
        num_workers=workers,
        prefetch_factor=ahead,
        pin_memory=torch.cuda.is_available(),
    )
    try:
        for chosen, images in zip(decoder.batches, loader, strict=True):
            if isinstance(images, str):
                raise DataError(images)
            yield chosen, images
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            "a process that decodes images was ended from outside, most likely because memory, or the shared memory "
            f"of /dev/shm, ran out; run again with fewer: --workers {max(0, workers // 2)}"
        ) from error

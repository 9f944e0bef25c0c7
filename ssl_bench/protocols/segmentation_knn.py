"""Segmentation by nearest neighbours among labelled places of training images (Hummingbird); nothing is trained.

    s(q, b) = cosine;   label(q) = Σ over the k nearest b of softmax(s / T) · shares of the classes among b's pixels

A place's label, so found, is brought bilinearly to the image's own size, and the largest share wins. As
https://github.com/vpariza/open-hummingbird-eval (Pariza, Salehi and Asano), after Balazevic et al. 2023
(https://arxiv.org/abs/2306.01667): k = 30, T = 0.02, images squashed to squares, a memory of 1024 · 10³ places of train
of which every image gives as many: those whose classes are rare in it, times what is drawn evenly from 0 to 1.

Where that code differs: it takes pixels that count for no class for the first class; here they are in no share, and
places of them alone in no memory. It scores at the squashed size, after it has matched what it said to classes by the
answers of the very images that are scored; here every class stands for itself. Its crops of train, of whatever is drawn
at each reading, and its changed colours are left out, so that the seed matters where the memory is smaller than train
alone. Neighbours are exact.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError
from ssl_bench.images.dense import labels_resized
from ssl_bench.predictions import LabelMaps
from ssl_bench.protocols import _dense, _masks, base
from ssl_bench.solvers.neighbours import Neighbours, nearest
from ssl_bench.spool import Spool
from ssl_bench.targets import VOID

if TYPE_CHECKING:
    from ssl_bench.features import Rows

QUERIES = 1 << 18
"""Places of test images that are looked up at a time."""


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """Labels of places, carried over from the most similar ones of train."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("train", "test")
    deterministic: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("segmentation",)

    k: int = 30
    temperature: float = 0.02
    size: int = 512
    """Height and width that images are squashed to, or the next multiple of the map's stride below."""
    memory: int = 1_024_000
    """Most places of train that are kept."""

    def __post_init__(self) -> None:
        for name in ("k", "size", "memory"):
            if getattr(self, name) < 1:
                raise UsageError(f"segmentation_knn: {name} must be 1 or more, not {getattr(self, name)}")
        if not self.temperature > 0:
            raise UsageError(f"segmentation_knn: temperature must be above 0, not {self.temperature}")

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return the maps of train and test."""
        return base.Passes({"dense": ("train", "test")})

    def uninformed(self, trial: base.Trial) -> base.Answer:
        return _masks.most_frequent(trial)

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return a class for every pixel of every test image, at its own size.

        Raises UsageError for a model without maps of an image's parts, one that takes no images of this size, and a
        memory of fewer than k places; DataError where no pixel of train counts for a class.
        """
        from ssl_bench.backbones import dense

        stride = dense.stride(_dense.ready(trial, "segmentation_knn"))
        side = max(1, self.size // stride) * stride
        train, test = trial.dense("train", (side, side)), trial.dense("test", (side, side))
        shares, kept = memory_of(trial, train.shape[2:], stride, self.memory)
        if len(shares) < self.k:
            raise UsageError(
                f"segmentation_knn: {self.k} neighbours were asked for, and train has {len(shares)} places that count "
                "for a class"
            )
        bank = places_of(train, kept)
        return base.Answer(
            LabelMaps(self.maps(trial, bank, shares, test)),
            selected={"size": side, "stride": stride, "memory": len(bank), "dim": bank.shape[1]},
        )

    def maps(self, trial: base.Trial, bank: NDArray[np.float16], shares: NDArray[np.float32], test: Rows) -> Any:
        """Return the class of every pixel of every test image."""
        import torch

        rows, columns = test.shape[2:]
        together = max(1, QUERIES // (rows * columns))
        sizes = _masks.image_sizes(trial)
        found: Any = Spool()  # a sequence in all but name
        with trial.track("test", len(test), "images") as advance:
            for some in _dense.chunks(range(len(test)), together):
                queries = places(test[some[0] : some[-1] + 1])
                near = nearest(bank, queries, self.k, device=trial.device)
                labels = carried(near, shares, self.temperature)
                for one in labels.reshape(len(some), rows, columns, -1):
                    logits = torch.from_numpy(one).permute(2, 0, 1)
                    found.append(_dense.best_classes(logits, next(sizes)))
                    advance(1)
        return found


def memory_of(
    trial: base.Trial, grid: tuple[int, ...], stride: int, most: int
) -> tuple[NDArray[np.float32], list[NDArray[np.int64]]]:
    """Return the shares of the classes (kept, classes) of the places that are remembered, and their numbers in the grid
    (rows, columns) of each image of train, row by row."""
    images = trial.sizes["train"]
    each = max(1, most // images)

    def prepare(
        _image: NDArray[np.uint8], mask: Any, generator: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        counts = counted(mask.labels, (grid[0], grid[1]), stride, trial.classes)
        kept = chosen(counts, each, generator)
        return (counts[kept] / counts[kept].sum(axis=1, keepdims=True)).astype(np.float32), kept

    shares, kept = zip(*trial.prepared("train", prepare, np.arange(images)), strict=True)
    if not sum(map(len, kept)):
        raise DataError("segmentation_knn: no pixel of train counts for a class")
    return np.concatenate(shares), list(kept)


def counted(labels: NDArray[np.uint8], grid: tuple[int, int], stride: int, classes: int) -> NDArray[np.int64]:
    """Return how many pixels of each class (places, classes) each place of a grid has, of labels (height, width) scaled
    so that a place has `stride` by `stride` pixels."""
    rows, columns = grid
    scaled = labels_resized(labels, (rows * stride, columns * stride))
    cells = scaled.reshape(rows, stride, columns, stride).swapaxes(1, 2).reshape(rows * columns, -1)
    numbers = np.arange(rows * columns)[:, None] * (VOID + 1) + cells
    counts: NDArray[np.int64] = np.bincount(numbers.ravel(), minlength=rows * columns * (VOID + 1))
    return counts.reshape(rows * columns, VOID + 1)[:, :classes]


def chosen(counts: NDArray[np.int64], most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the places, of those that any class has a pixel of, that an image gives to the memory, in rising order.

    A class counts in as many places as show it; a place's score is the sum over its classes, times what is drawn evenly
    from 0 to 1; the lowest are taken.
    """
    shown = counts > 0
    there: NDArray[np.int64] = np.flatnonzero(shown.any(axis=1))
    if len(there) <= most:
        return there
    scores = (shown @ shown.sum(axis=0))[there] * generator.random(len(there))
    return np.sort(there[np.argsort(scores, kind="stable")[:most]])


def places_of(maps: Rows, kept: list[NDArray[np.int64]]) -> NDArray[np.float16]:
    """Return the features (kept, dim) of the places of each image that are remembered."""
    parts = []
    for some in _dense.chunks(range(len(kept)), 64):
        block = maps[some[0] : some[-1] + 1]
        parts += [image.reshape(len(image), -1)[:, kept[index]].T for index, image in zip(some, block, strict=True)]
    return np.concatenate(parts)


def places(maps: NDArray[np.float16]) -> NDArray[np.float16]:
    """Return maps (images, dim, rows, columns) as places (images · rows · columns, dim)."""
    return maps.transpose(0, 2, 3, 1).reshape(-1, maps.shape[1])


def carried(near: Neighbours, shares: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return what neighbours say of each query (queries, classes): their shares, weighted by softmax(s / T)."""
    weights = np.exp((near.similarities - near.similarities[:, :1]) / temperature)
    weights /= weights.sum(axis=1, keepdims=True)
    found = np.zeros((len(weights), shares.shape[1]), dtype=np.float32)
    for rank in range(weights.shape[1]):
        found += weights[:, rank : rank + 1].astype(np.float32) * shares[near.indices[:, rank]]
    return found

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

Images pass the network and are forgotten but for the places that are remembered: the maps of ADE20K's train would take
30 GB. A million places of 768 dimensions take 3 GB of memory, and as many shares of 150 classes 0.6.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError
from ssl_bench.images import normalise
from ssl_bench.images.dense import labels_resized, resized
from ssl_bench.predictions import LabelMaps
from ssl_bench.predictions.spool import Spool
from ssl_bench.protocols import _dense, _masks, base
from ssl_bench.solvers.neighbours import Neighbours, nearest
from ssl_bench.targets import VOID

if TYPE_CHECKING:
    from ssl_bench.backbones.base import Backbone

Thing = TypeVar("Thing")
QUERIES = 1 << 17
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
        """Return the images of train and test."""
        return base.Passes({}, crops=sizes["train"] + sizes["test"])

    def uninformed(self, trial: base.Trial) -> base.Answer:
        return _masks.most_frequent(trial)

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return a class for every pixel of every test image, at its own size.

        Raises UsageError for a model without maps of an image's parts, one that takes no images of this size, and a
        memory of fewer than k places; DataError where no pixel of train counts for a class.
        """
        from ssl_bench.backbones import dense

        backbone = _dense.ready(trial, "segmentation_knn")
        stride = dense.stride(backbone)
        side = max(1, self.size // stride) * stride
        shares, bank = self.memory_of(trial, backbone, side, stride)
        if len(shares) < self.k:
            raise UsageError(
                f"segmentation_knn: {self.k} neighbours were asked for, and train has {len(shares)} places that count "
                "for a class"
            )
        return base.Answer(
            LabelMaps(self.maps(trial, backbone, side, bank, shares)),
            selected={"size": side, "stride": stride, "memory": len(bank), "dim": bank.shape[1]},
        )

    def memory_of(
        self, trial: base.Trial, backbone: Backbone, side: int, stride: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the shares of the classes (places, classes) and the features (places, dim) of what is remembered.

        An image's features pass away but for those of its places that are kept. Raises DataError where none is.
        """
        from ssl_bench.backbones import grids

        _, _, rows, columns = _dense.features(trial, backbone, grids.blank(backbone, (side, side))).shape
        each = max(1, self.memory // trial.sizes["train"])

        def prepare(image: NDArray[np.uint8], mask: Any, generator: np.random.Generator) -> _Marked:
            counts = counted(mask.labels, (rows, columns), stride, trial.classes)
            return _Marked(resized(image, (side, side)), counts, chosen(counts, each, generator))

        shares: list[NDArray[np.float32]] = []
        points: list[NDArray[np.float32]] = []
        order = np.arange(trial.sizes["train"])
        with trial.track("memory", len(order), "images") as advance:
            for some in batched(trial.prepared("train", prepare, order), _dense.at_once(trial)):
                found = seen(trial, backbone, [one.image for one in some])
                for one, places in zip(some, found, strict=True):
                    counts = one.counts[one.kept]
                    shares.append((counts / counts.sum(axis=1, keepdims=True)).astype(np.float32))
                    points.append(places[one.kept])
                advance(len(some))
        if not sum(map(len, shares)):
            raise DataError("segmentation_knn: no pixel of train counts for a class")
        return np.concatenate(shares), np.concatenate(points)

    def maps(
        self,
        trial: base.Trial,
        backbone: Backbone,
        side: int,
        bank: NDArray[np.float32],
        shares: NDArray[np.float32],
    ) -> Any:
        """Return the class of every pixel of every test image."""

        def prepare(image: NDArray[np.uint8], _target: Any, _generator: np.random.Generator) -> _dense.Shown:
            return _dense.Shown(resized(image, (side, side)), (image.shape[0], image.shape[1]))

        labels: Any = Spool()  # a sequence in all but name
        order, waiting = np.arange(trial.sizes["test"]), []
        with trial.track("test", len(order), "images") as advance:
            for some in batched(trial.prepared("test", prepare, order), _dense.at_once(trial)):
                found = seen(trial, backbone, [one.image for one in some])
                waiting += [(places, one.size) for places, one in zip(found, some, strict=True)]
                if len(waiting) * len(found[0]) >= QUERIES or len(labels) + len(waiting) == len(order):
                    for label_map in self.told(trial, waiting, bank, shares):
                        labels.append(label_map)
                    waiting = []
                advance(len(some))
        return labels

    def told(
        self,
        trial: base.Trial,
        images: list[tuple[NDArray[np.float32], tuple[int, int]]],
        bank: NDArray[np.float32],
        shares: NDArray[np.float32],
    ) -> Iterator[NDArray[np.uint8]]:
        """Give the classes (height, width) of images, of whose places (rows · columns, dim) and sizes are given."""
        import torch

        near = nearest(bank, np.concatenate([places for places, _ in images]), self.k, device=trial.device)
        found = carried(near, shares, self.temperature).reshape(len(images), -1, shares.shape[1])
        for one, (_, size) in zip(found, images, strict=True):
            rows = round(len(one) ** 0.5)  # images were squashed to squares
            logits = torch.from_numpy(one).to(trial.device).T.reshape(-1, rows, len(one) // rows)
            yield _dense.best_classes(logits, size)


@dataclasses.dataclass(frozen=True, eq=False)
class _Marked:
    """An image of train, ready for the network, and what its places show."""

    image: NDArray[np.uint8]  # (channels, side, side)
    counts: NDArray[np.int64]  # (places, classes): pixels
    kept: NDArray[np.int64]  # (kept,): places that are remembered


def seen(trial: base.Trial, backbone: Backbone, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Return the features of every place (images, rows · columns, dim) of images of one size; raise DataError where one
    is no number."""
    import torch

    pixels = torch.from_numpy(np.stack(images)).to(trial.device)
    found = _dense.features(trial, backbone, normalise(pixels, backbone.input)).flatten(2).transpose(1, 2)
    if not found.isfinite().all():
        raise DataError("segmentation_knn: an image has features that are NaN or infinite")
    places: NDArray[np.float32] = found.cpu().numpy()
    return places


def batched(items: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    """Give the items in lists of `size`, the last shorter."""
    source = iter(items)
    while some := list(itertools.islice(source, size)):
        yield some


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


def carried(near: Neighbours, shares: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Return what neighbours say of each query (queries, classes): their shares, weighted by softmax(s / T)."""
    weights = np.exp((near.similarities - near.similarities[:, :1]) / temperature)
    weights /= weights.sum(axis=1, keepdims=True)
    found = np.zeros((len(weights), shares.shape[1]), dtype=np.float32)
    for rank in range(weights.shape[1]):
        found += weights[:, rank : rank + 1].astype(np.float32) * shares[near.indices[:, rank]]
    return found

"""Where a trial draws from: what the harness offers, and what a supply that lacks it says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from ssl_bench.episodes import Draw, Episodes
    from ssl_bench.features import Rows
    from ssl_bench.images import Augmentation
    from ssl_bench.progress import Advance
    from ssl_bench.targets.pairs import Pairs
    from ssl_bench.targets.videos import Video

Made = TypeVar("Made")
Prepare = Callable[[NDArray[np.uint8], Any, np.random.Generator], Made]
"""(image, its `targets.Target` or None, generator) → what a protocol takes of them."""
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


class Supply:
    """Where a trial draws from: the harness makes one of a backbone, data and the feature cache.

    Splits are "train", "test" and, where the task has one, "val". What a supply lacks is a UsageError.
    """

    def features(self, split: str, pooling: str, view: str) -> FloatArray:
        """Return pooled features (samples, dim); `pooling` "" is the one that the job asks for, `view` "" no change."""
        raise UsageError("this trial has no features")

    def some(self, split: str, pooling: str, view: str, positions: IntArray) -> FloatArray:
        """Return the pooled features (positions, dim) of some samples of a split, sparing the others the network."""
        return self.features(split, pooling, view)[positions]

    def dense(self, split: str, size: tuple[int, int] | None = None) -> Rows:
        """Return the maps of a split, each (dim, height, width) float16, which are read from disk when indexed."""
        raise UsageError("this trial has no dense features")

    def prepared(
        self, split: str, prepare: Prepare[Made], order: IntArray, places: IntArray | None = None
    ) -> Iterator[Made]:
        """Give what `prepare` makes of each image at `order` and its target, in that order."""
        raise UsageError("this trial has no images")

    def batches(
        self,
        split: str,
        augmentation: Augmentation | None,
        order: IntArray,
        size: int | Sequence[int],
        places: IntArray | None = None,
    ) -> Iterator[Tensor]:
        """Give normalised images (up to `size`, channels, height, width) of the samples at `order`, on the device."""
        raise UsageError("this trial has no images")

    def reseeded(self, seed: int) -> Supply:
        """Return a supply that draws from another seed."""
        return self

    def subset(self, name: str) -> IntArray:
        """Return the positions in train of a published subset, ascending; see `ssl_bench.subsets`."""
        raise UsageError("this trial has no published subsets")

    def texts(self, texts: Sequence[str]) -> FloatArray:
        """Return what the model's text tower says of each text (texts, dim)."""
        raise UsageError("this trial has no text tower")

    def episodes(self, how: Draw) -> Episodes:
        """Return few-shot episodes of the test split without the answers."""
        raise UsageError("this trial has no episodes")

    def pairs(self) -> Pairs:
        """Return pairs of test images, and the places of the first that are to be found in the second."""
        raise UsageError("this trial has no pairs of images")

    def videos(self) -> tuple[Video, ...]:
        """Return the videos of test, each with the objects of its first frame."""
        raise UsageError("this trial has no videos")

    def track(self, what: str, total: int, unit: str) -> contextlib.AbstractContextManager[Advance]:
        """Show how far `total` units of long work have come: gives a function to call with the number just done."""
        return contextlib.nullcontext(lambda count: None)

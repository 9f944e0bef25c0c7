"""What every dataset is: named splits, always in the same order, with stable ids and a content digest.

A reader is a module with two functions, both given the card's `[data]` options and the data folder:

- `locate(options, root) -> list[Path]`: the files that hold the data, found without heavy imports;
  raises MissingError that says what is missing, how large it is and how to get it.
- `load(options, root) -> dict[str, Split]`: the source's own splits by name. Raises DataError or UsageError.
  Splits of dense tasks have no labels but `targets`.

A reader of retrieval tasks has `judgements(options, root) -> Judgements` besides.

What can be downloaded a card says, under `source.files`, and `sources` gets it. A reader whose images come from a
library's own hub has `fetch(options, root) -> None` instead; nothing else touches the network.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ssl_bench.images import Raw
from ssl_bench.targets import Targets, TargetSource


class ImageSource(Protocol):
    """Images by position. It travels to decoding workers, so it pickles small and opens files when first read."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Raw:
        """Return encoded bytes where the source has them, else uint8 pixels (height, width) or (height, width, 3)."""
        ...


@dataclasses.dataclass(eq=False)
class Arrays:
    """Images that are read whole, once by each process that asks for one."""

    opened: Callable[[], NDArray[np.uint8]]
    """Reads them, (images, height, width) or (images, height, width, 3); it pickles."""
    length: int
    _pixels: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return self.length

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pixels": None}

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image `index`: uint8 (height, width) or (height, width, 3)."""
        if self._pixels is None:
            self._pixels = self.opened()
        image: NDArray[np.uint8] = self._pixels[index]
        return image


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """An ordered set of labelled images."""

    source: ImageSource
    rows: NDArray[np.int64]
    """Position in `source` of each sample."""
    ids: tuple[str, ...]
    """A stable name for each sample: a file's path inside the source, or its row number."""
    labels: NDArray[np.int64]  # (samples,), or (samples, classes) where any number of classes may hold
    """A class; or, for every class, 1 where it holds, 0 where not, -1 where it is too hard to say."""
    class_names: tuple[str, ...] = ()
    truth: TargetSource | None = None
    """Masks, depths or objects by position, as `source` has the images, where the task asks of an image's parts; labels
    are then (samples, 0)."""

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.ids) == len(self.labels):
            raise ValueError(f"{len(self.rows)} rows, {len(self.ids)} ids and {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int) -> Raw:
        """Return the image of sample `index` as the source keeps it."""
        return self.source.read(int(self.rows[index]))

    @property
    def targets(self) -> Targets | None:
        """What is true of each sample's parts, in the split's order."""
        return None if self.truth is None else Targets(self.truth, self.rows)

    def take(self, positions: Sequence[int] | NDArray[np.int64] | slice) -> Split:
        """Return the samples at `positions`, in that order."""
        chosen = np.arange(len(self))[positions]
        return dataclasses.replace(
            self, rows=self.rows[chosen], ids=tuple(self.ids[i] for i in chosen), labels=self.labels[chosen]
        )


def digest_image(raw: Raw) -> bytes:
    """Return the sha256 of an image as its source keeps it; arrays include shape, so that no two sizes collide."""
    if isinstance(raw, bytes):
        return hashlib.sha256(raw).digest()
    array = np.ascontiguousarray(raw)
    return hashlib.sha256(f"uint8{array.shape}".encode() + array.tobytes()).digest()

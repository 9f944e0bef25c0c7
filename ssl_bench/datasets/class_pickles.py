"""Few-shot sets as pickles of arrays, a file per split: {"data": uint8 (images, height, width, 3), "labels": list}.

That is how the authors of MetaOptNet (kjunelee/MetaOptNet) and RFS hand on mini-ImageNet, CIFAR-FS and FC100. Labels
become classes by rank, split by split: the splits have no class in common.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import pickles
from ssl_bench.datasets.base import Arrays, Split
from ssl_bench.errors import DataError, MissingError, reason


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    files: Mapping[str, str]
    """Split name to its pickle, relative to the data folder."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the files; raise MissingError that names all absent."""
    paths = [root / path for path in cards.from_table(Options, options, "data").files.values()]
    if absent := [str(path) for path in paths if not path.is_file()]:
        raise MissingError(f"there is no file {', '.join(absent)}")
    return paths


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits in the order of their arrays; an id is the row number. Raises DataError for another form."""
    splits = {}
    for split, path in zip(cards.from_table(Options, options, "data").files, locate(options, root), strict=True):
        pixels, labels = _read(path)
        rows = np.arange(len(pixels))
        found = np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64)
        splits[split] = Split(
            Arrays(functools.partial(_pixels, path), len(pixels), pixels), rows, tuple(map(str, rows.tolist())), found
        )
    return splits


def _pixels(path: Path) -> NDArray[np.uint8]:
    return _read(path)[0]


def _read(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    found = pickles.read(path)
    try:
        pixels, labels = np.asarray(found["data"]), np.asarray(found["labels"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{path} holds no arrays 'data' and 'labels': {reason(error)}") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != len(labels) or labels.dtype.kind not in "iu":
        held = f"{pixels.dtype} images of {pixels.shape} and {labels.dtype} labels of {labels.shape}"
        raise DataError(f"{path} holds {held}, not bytes of images and a whole number for each")
    return pixels, labels.astype(np.int64)

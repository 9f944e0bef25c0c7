"""Features that machines share through an object store or a folder, in front of which each keeps its own cache folder.

A block is written once and never changed, so it is copied whole: to the shared place when it was written here, and from
there when a split asks for an image of it. The images of a block are copied last and make it whole, there as here.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_bench.files import atomic_write
from ssl_bench.results.roots import open_root

IMAGES, FEATURES = ".images.npy", ".features.npy"


class SharedFeatures:
    """Blocks of features beside those of a cache folder, under the same names."""

    def __init__(self, place: str | Path, cache: Path) -> None:
        self.root = open_root(place)
        self.cache = cache
        self._names: dict[str, NDArray[np.bytes_]] = {}
        """Block to the names of its images, of those that are not here."""

    def give(self, stem: Path) -> None:
        """Copy a block of the cache folder to the shared place; raise MissingError where that cannot be written."""
        for ending in (FEATURES, IMAGES):
            path = stem.with_suffix(ending)
            self.root.create(path.relative_to(self.cache).as_posix(), path.read_bytes())

    def take(self, folder: Path, wanted: NDArray[np.bytes_]) -> None:
        """Copy to a folder of the cache the blocks that hold what is `wanted` and not there: names of images (images,).

        Raises MissingError where the shared place does not answer.
        """
        prefix = f"{folder.relative_to(self.cache).as_posix()}/"
        for name in sorted(self.root.beginning(prefix)):
            path = self.cache / name
            if not name.endswith(IMAGES) or path.exists():
                continue
            if name not in self._names:
                rows = np.load(io.BytesIO(self.root.read(name)), allow_pickle=False)
                self._names[name] = np.ascontiguousarray(rows).view("S16").reshape(-1)
            held = self._names[name]
            if np.isin(wanted, held).any():
                wanted = np.setdiff1d(wanted, held)
                self._copy(name.replace(IMAGES, FEATURES))
                self._copy(name)

    def _copy(self, name: str) -> None:
        with atomic_write(self.cache / name) as file:
            file.write(self.root.read(name))

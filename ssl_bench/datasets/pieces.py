"""Images that lie one behind another in large files, and are read by offset."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, MissingError


@dataclasses.dataclass(frozen=True, eq=False)
class Pieces:
    """Images by position, each at its place in one of several files."""

    paths: tuple[Path, ...]
    places: NDArray[np.int64]  # (images, 3): file, first byte, bytes

    def __len__(self) -> int:
        return len(self.places)

    def read(self, index: int) -> bytes:
        """Return the bytes of image `index`; raise MissingError where its file is gone, DataError where that is cut."""
        number, start, size = (int(value) for value in self.places[index])
        path = self.paths[number]
        try:
            with path.open("rb") as file:
                file.seek(start)
                data = file.read(size)
        except OSError as error:
            raise MissingError(f"cannot read {path}: {error.strerror}") from error
        if len(data) != size:
            raise DataError(f"{path} ends inside the image at byte {start}. Download it again.")
        return data

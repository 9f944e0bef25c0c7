"""Arrays of any sizes, one for every image of a test set, kept on disk while a job lasts: memory holds one of them."""

from __future__ import annotations

import io
import tempfile
import threading
import zlib
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


class Spool:
    """A sequence of arrays, written once each and read by position, in any thread; its file goes with it."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="ssl-bench-")  # noqa: SIM115 - it lives as long as this
        self._spans: list[tuple[int, int]] = []
        self._turn = threading.Lock()

    def append(self, array: NDArray[Any]) -> None:
        """Add an array of numbers."""
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        content = zlib.compress(buffer.getvalue(), 1)
        with self._turn:
            start = self._file.seek(0, io.SEEK_END)
            self._file.write(content)
            self._spans.append((start, len(content)))

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Return the array at `index`."""
        start, length = self._spans[index]
        with self._turn:
            self._file.seek(start)
            content = self._file.read(length)
        found: NDArray[Any] = np.load(io.BytesIO(zlib.decompress(content)), allow_pickle=False)
        return found

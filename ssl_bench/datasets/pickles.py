"""Pickles of plain values and arrays, as authors publish lists and small images in; nothing that they name is run."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from ssl_bench.errors import DataError, MissingError, reason

SAFE = {
    (module, name)
    for package in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
    for module, name in ((package, word) for word in ("_reconstruct", "scalar", "ndarray", "dtype"))
} | {("_codecs", "encode")}
"""What a pickle of arrays names."""


class _Unpickler(pickle.Unpickler):
    """Makes nothing but plain values and arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in SAFE:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no list or array needs")
        return super().find_class(module, name)


def read(path: Path) -> Any:
    """Return containers, numbers, text and NumPy arrays, also such as Python 2 wrote.

    Raises MissingError for a file that cannot be read, DataError for one that is no pickle or holds anything else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a broken pickle raises nearly anything
        raise DataError(f"{path} is no whole pickle of plain values: {reason(error)}. Download it again.") from error

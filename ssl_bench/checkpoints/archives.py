"""Zip archives of arrays: what they declare is checked before anything is unpacked, and `.npz` is read as tensors."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 2**28
"""Bytes below which nobody minds how tightly an archive is packed."""
TIGHTEST = 200
"""Times that real arrays shrink at most; weights hardly shrink at all, zeros a thousandfold."""
BFLOAT16 = np.dtype("V2")
"""What NumPy, which knows no bfloat16, makes of JAX's."""


def check_sizes(path: Path, entries: Iterable[zipfile.ZipInfo]) -> None:
    """Raise UsageError for an archive that would unpack to many times its own size."""
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max(SMALL, TIGHTEST * path.stat().st_size):
        raise UsageError(
            f"{path} would unpack from {path.stat().st_size} bytes to {unpacked}: no weights shrink that much. Refused"
        )


def read_npz(path: Path) -> dict[str, Any]:
    """Return the arrays of a `.npz` file as tensors under their own names, such as "params/img/cls"; texts as str.

    Arrays of bfloat16, which JAX writes as nameless pairs of bytes, become bfloat16 tensors. Raises UsageError for a
    file that is cut short or declares more than it holds, and for arrays of Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            check_sizes(path, entries)
            return {entry.filename.removesuffix(".npy"): _read_entry(archive, entry, path) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        raise UsageError(f"{path} is no whole .npz file ({error}); download it again") from error


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Tensor | str | list[Any]:
    with archive.open(entry) as file:
        shape, order, dtype = _header(file)
        if dtype.hasobject:
            raise UsageError(
                f"{path}: {entry.filename} holds pickled Python objects, and loading them could run code of the "
                "file's author: refused. Save plain arrays: numpy.savez(new_path, **arrays)"
            )
        count = int(np.prod(shape, dtype=object)) if shape else 1  # whole numbers of Python do not overflow
        if count * dtype.itemsize != entry.file_size - file.tell():
            raise ValueError(f"{entry.filename} declares {shape} of {dtype}, and holds {entry.file_size} bytes")
        array = np.frombuffer(bytearray(file.read()), dtype, count).reshape(shape, order="F" if order else "C")
    return array.tolist() if dtype.kind in "SU" else as_tensor(array, f"{path}: {entry.filename}")


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether columns come first, and dtype of a `.npy` file."""
    major, _ = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, order, dtype = read(file)
    return shape, order, dtype


def as_tensor(array: NDArray[Any], where: str) -> Tensor:
    """Return a tensor of the array's kind, and of bfloat16 for its nameless pairs of bytes."""
    import torch

    array = np.ascontiguousarray(array).reshape(array.shape)
    try:
        if array.dtype == BFLOAT16:
            return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except TypeError as error:
        raise UsageError(f"{where} has the type {array.dtype}, for which torch has none") from error

"""Open a checkpoint file as plain tensors and values; nothing in it is ever executed."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

from ssl_bench.errors import MissingError, UsageError

NO_CHECKPOINT = (
    (
        b"<",
        "is a web page (HTML or XML), not a checkpoint; download the file itself, signed in if its site asks for it",
    ),
    (b"version https://git-lfs", "is a Git LFS pointer, not the checkpoint; run `git lfs pull` in its repository"),
)
REFUSED = re.compile(r"(?:GLOBAL|Unsupported class|Unsupported operand \d+|type) ([A-Za-z_][\w.]*\.\w+)")


def read(path: Path) -> dict[str, Any]:
    """Return the outermost dictionary of a safetensors or torch file (zip or legacy), its tensors on the CPU.

    Raises MissingError if there is no such file, and UsageError for a file that is truncated, is no checkpoint, or
    holds an object other than tensors and plain values.
    """
    head = _head(path)
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return _read_safetensors(path)
    if zipfile.is_zipfile(path):
        _check_zip(path)
    elif head.startswith(b"PK"):
        raise _truncated(path)
    return _read_torch(path)


def _head(path: Path) -> bytes:
    """Return the first bytes of the file; raise the error that they alone already tell."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise MissingError(f"cannot read the checkpoint {path}: {error.strerror}") from error
    if not head:
        raise UsageError(f"{path} is empty; download it again")
    for start, what in NO_CHECKPOINT:
        if head.lstrip().startswith(start):
            raise UsageError(f"{path} {what}")
    return head


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise UsageError(
            f"{path} is no whole safetensors file ({error}); it may be truncated: download it again"
        ) from error


def _check_zip(path: Path) -> None:
    """Raise UsageError for zip files that torch.load cannot read, by what they hold."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("constants.pkl") for name in names):
        raise UsageError(
            f"{path} is a TorchScript program, not a state dict. "
            "Save its tensors: torch.save(torch.jit.load(path).state_dict(), new_path)"
        )
    if not any(name.endswith("data.pkl") for name in names):
        raise UsageError(f"{path} is a zip archive without a torch state dict (it holds {', '.join(names[:3])})")


def _read_torch(path: Path) -> dict[str, Any]:
    """Read a torch file with weights_only, which knows tensors and plain values and refuses everything else."""
    import torch

    try:
        with torch.serialization.safe_globals(_harmless()):
            outer = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused_or_unreadable(path, error) from error
    except (EOFError, RuntimeError, ValueError, KeyError, IndexError, AttributeError, OSError) as error:
        raise _truncated(path) from error
    if not isinstance(outer, dict):
        raise UsageError(f"{path} holds a {type(outer).__name__}, not a dictionary of tensors")
    return outer


def _harmless() -> list[Any]:
    """Return what training codes keep beside their tensors and what does nothing when it is unpickled."""
    import numpy as np

    core = getattr(np, "_core", None) or np.core
    renamed = [
        (getattr(core.multiarray, name), f"numpy.{home}.multiarray.{name}")
        for name in ("scalar", "_reconstruct")
        for home in ("core", "_core")
    ]
    kinds = [type(np.dtype(kind)) for kind in ("bool", "int32", "int64", "uint8", "float32", "float64")]
    return [argparse.Namespace, (pathlib.PosixPath, "pathlib.PosixPath"), np.dtype, np.ndarray, *kinds, *renamed]


def _refused_or_unreadable(path: Path, error: Exception) -> UsageError:
    """Tell an object that is not allowed, by name, from a pickle that is broken."""
    refused = REFUSED.search(str(error))
    if refused is None:
        return _truncated(path)
    return UsageError(
        f"{path} holds a pickled {refused[1]}, and loading that could run code of the file's author: refused. "
        "If you trust the file, keep its tensors only: torch.save(checkpoint['state_dict'], new_path)"
    )


def _truncated(path: Path) -> UsageError:
    return UsageError(
        f"{path} ({path.stat().st_size} bytes) is no whole torch or safetensors file: truncated or of another format; "
        "download it again"
    )

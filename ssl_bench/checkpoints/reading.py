"""Open a checkpoint file as plain tensors and values; nothing in it is ever executed."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

from ssl_bench.checkpoints import archives, torchscript
from ssl_bench.checkpoints.stand_ins import StandIns
from ssl_bench.errors import MissingError, UsageError

NO_CHECKPOINT = (
    (
        b"<",
        "is a web page (HTML or XML), not a checkpoint; download the file itself, signed in if its site asks for it",
    ),
    (b"version https://git-lfs", "is a Git LFS pointer, not the checkpoint; run `git lfs pull` in its repository"),
    (b"\x1f\x8b", "is a gzip archive; unpack it and name the file inside"),
    (b"\x89HDF", "is an HDF5 file (Keras, TensorFlow); save its arrays: numpy.savez(new_path, **arrays)"),
)
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9"
"""How torch's format from before 1.6 begins: a pickle of protocol 2, first of which is torch's own number."""
TRUSTED = (
    "import pickle, torch; found = pickle.load(open('{path}', 'rb'), encoding='latin1'); "
    "torch.save({{name: torch.as_tensor(value) for name, value in found['model'].items()}}, 'new.pth')"
)
"""What turns detectron2's dictionary of NumPy arrays into a file of torch.save, and would run what else is in it."""


def read(path: Path) -> dict[str, Any]:
    """Return the outermost dictionary of a file, its tensors on the CPU and of the kind that they were saved as.

    Files are known by content: safetensors, torch's zip format (mapped into memory: what is not used is not read) and
    its format from before 1.6, TorchScript archives (their parameters and buffers; the program is not run) and `.npz`.
    Raises MissingError if there is no such file, and UsageError for a file that is truncated, is no checkpoint, or
    holds what could run code.
    """
    head = _head(path)
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return _read_safetensors(path)
    if not head.startswith(b"PK"):
        if head[:2] in PICKLES and not head.startswith(TORCH):
            raise UsageError(
                f"{path} is a Python pickle (protocol {head[1]}) that torch.save did not write (detectron2's .pkl? "
                "JAX?), and reading it could run code: refused. If you trust its author, save its tensors: "
                f'python -c "{TRUSTED.format(path=path)}"'
            )
        return _read_torch(path, mapped=False)
    names = _names(path)
    if torchscript.is_torchscript(names):
        return dict(torchscript.read(path))
    if names and all(name.endswith(".npy") for name in names):
        return archives.read_npz(path)
    if not any(name.endswith("data.pkl") for name in names):
        raise UsageError(f"{path} is a zip archive without a torch state dict (it holds {', '.join(names[:3])})")
    return _read_torch(path, mapped=True)


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


def _names(path: Path) -> list[str]:
    """Return the file names in a zip archive that would not unpack to many times its size."""
    try:
        with zipfile.ZipFile(path) as archive:
            archives.check_sizes(path, archive.infolist())
            return archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise _truncated(path) from error


def _read_torch(path: Path, mapped: bool) -> dict[str, Any]:
    """Read a torch file with weights_only, which knows tensors and plain values; foreign classes get stand-ins."""
    import torch

    stand_ins = StandIns()
    while True:
        try:
            with torch.serialization.safe_globals(stand_ins.allowed()):
                outer = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
            break
        except pickle.UnpicklingError as error:
            if refused := stand_ins.learn(str(error)):
                raise _refused(path, refused) from error
        except Exception as error:  # a damaged pickle can raise anything
            raise _truncated(path) from error
    if not isinstance(outer, dict):
        raise UsageError(
            f"{path} holds a {type(outer).__qualname__}, not a dictionary of tensors. Where the network's own code is "
            "at hand: torch.save(network.state_dict(), new_path)"
        )
    return outer


def _refused(path: Path, name: str) -> UsageError:
    """Tell an object that is not allowed, by name, from a pickle that is broken ("?")."""
    if name == "?":
        return _truncated(path)
    return UsageError(
        f"{path} holds a pickled {name}, and loading that could run code of the file's author: refused. "
        "If you trust the file, keep its tensors only: torch.save(checkpoint['state_dict'], new_path)"
    )


def _truncated(path: Path) -> UsageError:
    return UsageError(
        f"{path} ({path.stat().st_size} bytes) is no whole torch, safetensors or npz file: truncated or of another "
        "format; download it again"
    )

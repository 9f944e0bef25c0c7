"""The feature cache as a user sees it: what is in it, whether it is whole, and what may go.

Nothing here is needed to measure: whatever is removed is extracted again when it is asked for.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench.errors import UsageError

DAY = 86_400.0


@dataclasses.dataclass(frozen=True)
class Entry:
    """The features of one spec."""

    key: str
    """sha256 of what caused them."""
    folder: Path
    first_asked_for: str
    """Model, task and split that first needed them; empty where that is not known."""
    pooled: str
    precision: str
    view: str
    size: tuple[int, ...]
    """Height and width of the images."""
    images: int
    """Rows of all blocks; an image that two processes extracted at once counts twice."""
    shape: tuple[int, ...]
    """Of one image's features."""
    blocks: int
    bytes: int
    used: float
    """When a block was last written, in seconds since 1970."""


def entries(root: Path) -> list[Entry]:
    """Return what a cache folder holds, the largest first."""
    found = [_entry(folder) for folder in _folders(root)]
    return sorted(found, key=lambda entry: (-entry.bytes, entry.key))


def _folders(root: Path) -> Iterator[Path]:
    for folder in sorted((root / "features").glob("??/*")):
        if folder.is_dir() and len(folder.name) == 64:
            yield folder


def _entry(folder: Path) -> Entry:
    said = _said(folder / "spec.json")
    shapes = [_shape(path) for path in sorted(folder.glob("*.features.npy"))]
    files = [path.stat() for path in folder.iterdir() if path.is_file()]
    return Entry(
        key=folder.name,
        folder=folder,
        first_asked_for=str(said.get("first_asked_for", "")),
        pooled=str(said.get("pooled", "")),
        precision=str(said.get("precision", "")),
        view=str(said.get("view", "")),
        size=tuple(said.get("input", {}).get("size", ())),
        images=sum(shape[0] for shape in shapes if shape),
        shape=next((shape[1:] for shape in shapes if shape), ()),
        blocks=len(shapes),
        bytes=sum(file.st_size for file in files),
        used=max((file.st_mtime for file in files), default=0.0),
    )


def _said(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _shape(path: Path) -> tuple[int, ...]:
    """Return the shape of an array on disk, or () for what is no whole array."""
    try:
        return tuple(np.load(path, mmap_mode="r", allow_pickle=False).shape)
    except (OSError, ValueError, EOFError):
        return ()


def faults(entry: Entry) -> Iterator[str]:
    """Give a line for everything that is wrong with an entry, reading all of its features."""
    for path in sorted(entry.folder.glob("*.features.npy")):
        marker = path.with_name(path.name.replace(".features.", ".images."))
        shape = _shape(path)
        if not shape:
            yield f"{path}: not a whole array"
        elif not marker.is_file():
            yield f"{path}: no list of images beside it; its run was killed before it was whole"
        elif _shape(marker)[:1] != shape[:1]:
            yield f"{path}: {shape[0]} rows for {_shape(marker)[:1]} images"
        elif bad := _not_finite(path):
            yield f"{path}: {bad} rows are NaN or infinite"
    yield from (f"{path}: was set aside as unreadable" for path in sorted(entry.folder.glob("*.unreadable")))


def _not_finite(path: Path) -> int:
    rows = np.load(path, mmap_mode="r", allow_pickle=False)
    parts = (rows[start : start + 4096] for start in range(0, len(rows), 4096))
    return sum(int((~np.isfinite(part)).reshape(len(part), -1).any(axis=1).sum()) for part in parts)


def leftovers(entry: Entry) -> list[Path]:
    """Return files that no run will read: blocks that were never finished or set aside, an hour old and older."""
    old = time.time() - 3600
    features = set(entry.folder.glob("*.features.npy"))
    whole = {path.with_name(path.name.replace(".images.", ".features.")) for path in entry.folder.glob("*.images.npy")}
    strange = [*(features - whole), *entry.folder.glob("*.unreadable"), *entry.folder.glob(".*.tmp")]
    return sorted(path for path in strange if path.stat().st_mtime < old)


def choose(found: list[Entry], words: tuple[str, ...], older_than: float | None = None) -> list[Entry]:
    """Return the entries that a user names by the beginning of a key or a part of what first asked for them.

    No word means all. `older_than` keeps those that were written so many days ago or earlier. Raises UsageError for a
    word that fits none.
    """
    for word in words:
        if not any(_fits(entry, word) for entry in found):
            raise UsageError(f"the cache holds nothing that {word!r} names; see `ssl-bench cache ls`")
    chosen = [entry for entry in found if not words or any(_fits(entry, word) for word in words)]
    return [entry for entry in chosen if older_than is None or entry.used < time.time() - older_than * DAY]


def _fits(entry: Entry, word: str) -> bool:
    return entry.key.startswith(word) or word in entry.first_asked_for


def remove(entry: Entry) -> None:
    """Remove the features of one spec."""
    shutil.rmtree(entry.folder)

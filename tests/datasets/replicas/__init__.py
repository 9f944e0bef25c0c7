"""Small replicas of datasets as their sources give them: the archives' own names, layout and formats, few images.

To add one for a new card, copy the nearest file of this folder and call it after the dataset. It needs

    CARDS = ("name_of_card", …)          every card that the replica serves
    SPLITS = {"train": "train[:3]", …}   only where the card's slices count more images than a replica has
    SHIFTS = ("snow", …)                 only where a card has more shifts than a replica needs: those that it has

    def build(place: Path) -> Truth:     write the replica into `place`, and say what a reader must find

Where the card has `source.files`, `place` is what the server gives: a file there for the last part of each address.
Elsewhere `place` is the data folder, and the files lie in it as the card's `source.manual` tells. Where a card has
both, what a person puts lies in `place / BY_HAND`, and `serve` makes archives of the rest. Images come from `pictures`,
which are real where there are real ones. `test_replicas.py` does the rest, and fails for a card without.
"""

from __future__ import annotations

import functools
import gzip
import importlib
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from ssl_bench.datasets import containers, digits
from ssl_bench.images import Raw
from ssl_bench.tasks import SourceFile

BY_HAND = "by_hand"
Truth = dict[str, dict[str, tuple[Any, Raw]]]
"""The source's split, to a sample's id, to its label, the list of those that are right or its `Target`, and image."""
REAL = {"caltech": "caltech101/caltech101.tar", "eurosat": "eurosat-rgb/eurosat.tar", "coil": "coil20/coil20.tar"}
"""Archives of real images below the folder that SSL_BENCH_DATA names."""


def builders() -> dict[str, ModuleType]:
    """Return every card's name and the module that builds its replica."""
    found: dict[str, ModuleType] = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        module = importlib.import_module(f"{__name__}.{path.stem}")
        for card in module.CARDS:
            assert card not in found, f"{card} has two replicas: {found[card].__name__} and {module.__name__}"
            found[card] = module
    return found


@functools.cache
def pictures(count: int, kind: str = "", form: str = "jpeg") -> tuple[bytes, ...]:
    """Return encoded images, no two the same: real ones of `kind` where these are, else digits in colours."""
    root = os.environ.get("SSL_BENCH_DATA")
    if kind and root and (Path(root) / REAL[kind]).is_file():
        listing = containers.listing(Path(root) / REAL[kind])
        names = [name for name in listing.spans if containers.is_image(name)]
        if len(names) >= count:
            return tuple(listing.read(name) for name in names[:: len(names) // count][:count])
    return tuple(encoded(array, form) for array in pixels(count))


@functools.cache
def pixels(count: int, side: int = 32) -> np.ndarray:
    """Return digits as images of different colours: uint8 (count, side, side, 3), no two the same."""
    split = digits.load({}, Path())["train"]
    whole = np.empty((count, side, side, 3), dtype=np.uint8)
    for i in range(count):
        grey = Image.fromarray(np.asarray(split.read(i % len(split)))).resize((side, side), Image.Resampling.NEAREST)
        whole[i] = np.asarray(grey)[..., None] // 2 + np.array([i % 100, i // 100 % 100, i // 10000], dtype=np.uint8)
    return whole


def encoded(array: np.ndarray, form: str = "jpeg") -> bytes:
    """Return pixels as a file."""
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form)
    return buffer.getvalue()


def write(folder: Path, files: Mapping[str, bytes | str]) -> None:
    """Write files by their paths below `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def pack(path: Path, files: Mapping[str, bytes | str]) -> None:
    """Write files into an archive, whose kind its name tells, with its folders as tar writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in texts.items():
                archive.writestr(name, content)
        return
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as tar:
        for folder in sorted({str(parent) for name in texts for parent in Path(name).parents} - {"."}):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        for name, content in texts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def serve(place: Path, files: Sequence[SourceFile]) -> None:
    """Move what `files` become from `place / BY_HAND` into the files that a server gives."""
    for file in files:
        made, given = place / BY_HAND / file.path, place / file.urls[0].rpartition("/")[2]
        if not file.unpack:
            made.rename(given)
            continue
        inside = "" if file.unpack == "." else f"{file.unpack}/"
        members = {
            inside + (Path(folder) / name).relative_to(made).as_posix(): (Path(folder) / name).read_bytes()
            for folder, _, names in os.walk(made, followlinks=True)
            for name in names
        }
        pack(given, members)
    for file in files:  # only now: a folder may lead to another's images
        if file.unpack:
            shutil.rmtree(place / BY_HAND / file.path)


def squeeze(path: Path, content: bytes) -> None:
    """Write one file packed by gzip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))


def classes(count: int, word: str = "class") -> list[str]:
    """Return names that sort as they are numbered."""
    return [f"{word}_{number:03d}" for number in range(count)]


def deal(names: Sequence[str], images: Sequence[Raw]) -> Iterator[tuple[int, str, Raw]]:
    """Yield (label, class name, image) for images dealt to classes one after the other."""
    for position, image in enumerate(images):
        yield position % len(names), names[position % len(names)], image

"""The files that a card names: downloaded, verified, unpacked, and each whole at its place or not there at all.

Beside the place of a file, or folder, that is on its way lies `.<name>.fetch/`; it holds the download, which the next
try goes on with, and what of it was unpacked, which the next try begins anew.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ssl_bench.datasets import unpacking
from ssl_bench.download import download, mirrored, waiting
from ssl_bench.errors import DataError, MissingError
from ssl_bench.files import lock
from ssl_bench.pins import Pin
from ssl_bench.progress import Progress
from ssl_bench.tasks import SourceFile


def fetch(files: Sequence[SourceFile], root: Path, progress: Progress, mirror: str = "") -> None:
    """Bring every file to its place below the data folder `root`; what is there already is left alone.

    Several processes that want the same file do the work once. Raises MissingError where no address has a file or the
    disk is full, UsageError where an address has another file, and DataError for an archive that is not to be trusted;
    that one is kept, so that a person can look at it.
    """
    for file in files:
        path = root / file.path
        if not path.exists():
            _bring(file, path, progress, mirror)


def missing(files: Sequence[SourceFile], root: Path) -> list[SourceFile]:
    """Return the files that are not at their place."""
    return [file for file in files if not (root / file.path).exists()]


def _bring(file: SourceFile, path: Path, progress: Progress, mirror: str) -> None:
    urls, pin = mirrored(mirror, file.urls), Pin(file.sha256, file.md5, file.bytes)
    if not file.unpack:
        download(urls, path, progress, pin)
        return
    work = path.with_name(f".{path.name}.fetch")
    with lock(path.with_name(f".{path.name}.lock"), on_wait=lambda: progress.say(waiting(path.name))):
        if not path.exists():
            archive = download(urls, work / Path(file.urls[0]).name, progress, pin)
            _unpack(archive, file.unpack, work / "unpacked", path, progress)
        unpacking.remove(work)


def _unpack(archive: Path, member: str, target: Path, path: Path, progress: Progress) -> None:
    """Unpack beside the place, and move there what was asked for in one step."""
    unpacking.remove(target)
    try:
        total = round(archive.stat().st_size / 1e6)
        with progress.track(f"unpacking {archive.name}", total, "MB") as advance:
            read = 0

            def count(more: int) -> None:
                nonlocal read
                advance(int((read + more) / 1e6) - int(read / 1e6))
                read += more

            unpacking.unpack(archive, target, count)
        found = target if member == "." else target / member
        if not found.exists():
            raise DataError(f"{archive} holds no {member!r}, which the card takes from it")
        os.sync()  # what has its name must be whole after a power cut too
        found.rename(path)
    except OSError as error:
        raise MissingError(f"cannot write {path}: {error.strerror}") from error
    finally:
        unpacking.remove(target)

"""Where records lie: a folder, an object store, or a fixed set of files; the store asks all of them in one way.

Names are relative to the root and written with "/". A file is created whole or not at all and never replaced by
`create`; only packed files are ever replaced, and only while they are as they were read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from ssl_bench import files
from ssl_bench.errors import MissingError, UsageError

SAMPLES = "samples"
PACKED = ".jsonl"
LEFTOVER_AGE = 3600.0
"""Seconds after which a temporary file is taken for a killed process's."""


@dataclasses.dataclass(frozen=True)
class File:
    """What a listing says of a file."""

    size: int
    stamp: str
    """Changes when the content does: a time of modification, or an object's ETag."""
    modified: float
    """Seconds since 1970."""


class Root(Protocol):
    """A place that records lie in."""

    place: str
    """What a reader is told, and, made absolute, the name that an index is kept under."""

    @property
    def exclusive(self) -> bool:
        """Whether of several that `create` one name at once exactly one gets True."""

    def record_files(self) -> dict[str, File]:
        """Return the files that may hold records: packed ones first, then loose ones, each sorted."""

    def sample_files(self) -> dict[str, File]:
        """Return the files under `samples`."""

    def beginning(self, prefix: str) -> list[str]:
        """Return the names of files that begin with `prefix`, which holds a whole folder and part of a name."""

    def stamp(self, name: str) -> str:
        """Return a file's stamp as it is now, or "" where there is none."""

    def read(self, name: str) -> bytes:
        """Return a file's content; raise FileNotFoundError, another OSError, or MissingError for an absent server."""

    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | OSError]]:
        """Give every name with its content, or with why it cannot be read."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless there is one, and return whether this call did; raise MissingError where it cannot."""

    def replace(self, name: str, content: bytes, stamp: str) -> bool:
        """Write a file whole if it still has the stamp ("" for none), and return whether that was so."""

    def remove(self, name: str) -> None:
        """Remove a file if it is there, and folders that it leaves empty."""

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Keep other packers out, where the place knows locks; elsewhere `replace` notices them."""

    def check_writable(self) -> None:
        """Raise MissingError unless a file can be written: asked before hours of work, not after."""

    def leftovers(self) -> list[str]:
        """Return files that killed processes left behind and nothing reads."""


def open_root(place: str | Path | Root) -> Root:
    """Return the root at a folder or at `s3://bucket/prefix`; raise MissingError where s3fs is not installed."""
    if not isinstance(place, str | Path):
        return place
    scheme, separator, rest = str(place).partition("://")
    if not separator:
        return FolderRoot(Path(place))
    if scheme != "s3":
        raise UsageError(f"results cannot lie at {place!r}: a folder or s3://bucket/prefix is meant")
    from ssl_bench.results.object_store import S3Root

    return S3Root(rest)


class FolderRoot:
    """A local or network folder. It need not exist before the first file is created."""

    exclusive = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder)

    def record_files(self) -> dict[str, File]:
        entries = _entries(self.folder)
        packed = {entry.name: _file(entry) for entry in entries if entry.name.endswith(PACKED)}
        loose: dict[str, File] = {}
        for model in entries:
            if model.name != SAMPLES and not model.name.startswith(".") and model.is_dir():
                for task in _entries(model.path):
                    if task.is_dir():
                        found = (entry for entry in _entries(task.path) if entry.name.endswith(".json"))
                        loose |= {f"{model.name}/{task.name}/{entry.name}": _file(entry) for entry in found}
        return packed | loose

    def sample_files(self) -> dict[str, File]:
        return {
            f"{SAMPLES}/{folder.name}/{entry.name}": _file(entry)
            for folder in _entries(self.folder / SAMPLES)
            for entry in _entries(folder.path)
            if not entry.name.startswith(".")
        }

    def beginning(self, prefix: str) -> list[str]:
        folder, _, start = prefix.rpartition("/")
        return [f"{folder}/{entry.name}" for entry in _entries(self.folder / folder) if entry.name.startswith(start)]

    def stamp(self, name: str) -> str:
        try:
            return _stamp((self.folder / name).stat())
        except OSError:
            return ""

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | OSError]]:
        for name in names:
            try:
                yield name, self.read(name)
            except OSError as error:
                yield name, error

    def create(self, name: str, content: bytes) -> bool:
        return files.create_file(self.folder / name, content)

    def replace(self, name: str, content: bytes, stamp: str) -> bool:
        if self.stamp(name) != stamp:
            return False
        with files.atomic_write(self.folder / name) as file:
            file.write(content)
        return True

    def remove(self, name: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        for folder in path.parents[: name.count("/")]:
            try:
                folder.rmdir()
            except OSError:
                return

    def lock(self) -> contextlib.AbstractContextManager[None]:
        return files.lock(self.folder / ".lock")

    def check_writable(self) -> None:
        files.check_writable(self.folder, "results")

    def leftovers(self) -> list[str]:
        old = time.time() - LEFTOVER_AGE
        names = []
        for pattern in (".*.tmp", "*/*/.*.tmp", f"{SAMPLES}/*/.*.tmp"):
            found = (path for path in sorted(self.folder.glob(pattern)) if path.stat().st_mtime < old)
            names += [path.relative_to(self.folder).as_posix() for path in found]
        return sorted(set(names))


class Predictions(Protocol):
    """The part of a root that holds per-sample predictions; its methods are those of `Root`."""

    def sample_files(self) -> dict[str, File]: ...

    def stamp(self, name: str) -> str: ...

    def read(self, name: str) -> bytes: ...


class FixedRoot:
    """Record files that were read once and are never written: one packed file, or what a git reference holds.

    Their predictions are read from `predictions` when they are asked for.
    """

    exclusive = False

    def __init__(self, place: str, contents: Mapping[str, bytes], predictions: Predictions) -> None:
        self.place = place
        self.contents = contents
        self.predictions = predictions

    def record_files(self) -> dict[str, File]:
        return {name: File(len(content), "", 0.0) for name, content in sorted(self.contents.items())}

    def sample_files(self) -> dict[str, File]:
        return self.predictions.sample_files()

    def beginning(self, prefix: str) -> list[str]:
        return [name for name in sorted(self.contents) if name.startswith(prefix)]

    def stamp(self, name: str) -> str:
        return self.predictions.stamp(name) if name.startswith(f"{SAMPLES}/") else ""

    def read(self, name: str) -> bytes:
        return self.contents[name] if name in self.contents else self.predictions.read(name)

    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | OSError]]:
        yield from ((name, self.contents[name]) for name in names)

    def create(self, name: str, content: bytes) -> bool:
        raise UsageError(f"{self.place} can only be read")

    def replace(self, name: str, content: bytes, stamp: str) -> bool:
        raise UsageError(f"{self.place} can only be read")

    def remove(self, name: str) -> None:
        raise UsageError(f"{self.place} can only be read")

    def lock(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def check_writable(self) -> None:
        raise UsageError(f"{self.place} can only be read")

    def leftovers(self) -> list[str]:
        return []


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, sorted; nothing where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise MissingError(f"cannot read {folder}: {error.strerror or error}") from error


def _file(entry: os.DirEntry[str]) -> File:
    """Return what a listing says; a file that is gone by now has no stamp, and reading it says so."""
    try:
        stat = entry.stat()
    except OSError:
        return File(0, "", 0.0)
    return File(stat.st_size, _stamp(stat), stat.st_mtime)


def _stamp(stat: os.stat_result) -> str:
    return f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ino}"

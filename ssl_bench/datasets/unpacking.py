"""Archives unpacked without trusting them: nothing outside the folder, nothing but files, no more than was reckoned.

Refused are names that lead out of the folder, links out of the archive, devices, names that are one on a disk which
knows no case, and archives that grow beyond a limit. A link to a member becomes a copy of it, so that none is followed.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import posixpath
import shutil
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from ssl_bench.datasets.containers import clean_name, is_junk, not_whole
from ssl_bench.errors import DataError, MissingError

RATIO = 20
"""Times its own size that an archive of images, which are packed already, may at most grow."""
FLOOR = 256 << 20
"""Bytes that any archive may grow to: small ones of labels pack much better."""
PER_MEMBER = 512
"""Bytes that a member counts for besides its own: millions of empty files fill a disk too."""
CHUNK = 1 << 20
BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    lzma.LZMAError,
    struct.error,
    NotImplementedError,
    RuntimeError,
)
"""What the libraries raise for a damaged archive; RuntimeError for one that is encrypted."""
TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
SINGLE: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}

Advance = Callable[[int], None]
"""Called with the number of bytes of the archive just read."""


def unpack(archive: Path, target: Path, advance: Advance = lambda count: None, limit: int = 0) -> None:
    """Write what `archive` holds as the folder `target`, or, of a single packed file, as the file `target`.

    Hidden files and what file managers leave behind are left out. `limit` is the bytes that may be written at most, 0
    for a reckoning by the archive's size. Raises DataError for an archive that is damaged or not to be trusted, and
    MissingError where the disk is full; `target` may then be there in part.
    """
    writer = _Writer(archive, target, limit or max(FLOOR, RATIO * archive.stat().st_size))
    name = archive.name.lower()
    try:
        with archive.open("rb") as file:
            counted: Any = _Counted(file, advance)
            if name.endswith(".zip"):
                _unzip(counted, writer)
            elif name.endswith(TAR):
                _untar(counted, writer)
            elif opener := SINGLE.get(archive.suffix.lower()):
                with opener(counted) as data:
                    writer.single(data)
            else:
                kinds = ", ".join((".zip", *TAR, *SINGLE))
                raise DataError(f"{archive} is of no kind that is unpacked here ({kinds}); unpack it by hand")
    except BROKEN as error:
        raise not_whole(archive, error) from error
    except OSError as error:  # bz2 says so of damaged data too; it gives no number
        if error.errno is None:
            raise not_whole(archive, error) from error
        raise MissingError(f"cannot unpack {archive} to {target}: {error.strerror}; make room and try again") from error


class _Counted:
    """A file that tells how far it was read."""

    def __init__(self, file: IO[bytes], advance: Advance) -> None:
        self._file, self._advance, self._told = file, advance, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        if (place := self._file.tell()) > self._told:
            self._advance(place - self._told)
            self._told = place
        return data


class _Writer:
    """Makes files under one folder, each name once, until the limit is reached."""

    def __init__(self, archive: Path, target: Path, limit: int) -> None:
        self.archive, self.target, self.left, self.limit = archive, target, limit, limit
        self._names: dict[str, str] = {}
        self._files: set[str] = set()

    def folder(self, name: str) -> None:
        """Make a folder and those above it."""
        self._claim(name)
        (self.target / name).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, data: IO[bytes], announced: int) -> None:
        """Write one file, which the archive says has `announced` bytes."""
        self._spend(PER_MEMBER)
        if announced > self.left:
            raise self._too_large()
        if name in self._files:
            raise DataError(f"{self.archive} holds {name!r} twice")
        self._claim(name)
        path = self.target / name
        if path.is_dir():
            raise DataError(f"{self.archive} holds {name!r} as a file and as a folder")
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.is_dir():
            raise DataError(f"{self.archive} holds {posixpath.dirname(name)!r} as a file and as a folder")
        self._files.add(name)
        with path.open("xb") as file:
            self._copy(data, file)

    def single(self, data: IO[bytes]) -> None:
        """Write `target` itself."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        with self.target.open("xb") as file:
            self._copy(data, file)

    def link(self, name: str, aim: str) -> None:
        """Write a copy of the member `aim`; raise DataError where that is no file of this archive."""
        clean = posixpath.normpath(aim)
        if clean not in self._files:
            raise DataError(f"{self.archive} holds {name!r}, a link to {aim!r}, which is no file in it")
        path = self.target / clean
        with path.open("rb") as file:
            self.file(name, file, path.stat().st_size)

    def _copy(self, data: IO[bytes], file: IO[bytes]) -> None:
        while chunk := data.read(CHUNK):
            self._spend(len(chunk))
            file.write(chunk)

    def _spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise self._too_large()

    def _too_large(self) -> DataError:
        return DataError(
            f"{self.archive} unpacks to more than {self.limit / 1e6:,.0f} MB, far more than images do: it is not what "
            "it seems. If you trust it, unpack it by hand"
        )

    def _claim(self, name: str) -> None:
        """Raise DataError where the name, or a folder above it, differs from another only in case or accents' form."""
        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            spelt = "/".join(parts[:depth])
            other = self._names.setdefault(unicodedata.normalize("NFC", spelt).casefold(), spelt)
            if other != spelt:
                raise DataError(f"{self.archive} holds {other!r} and {spelt!r}, which are one name on many disks")


def _unzip(file: Any, writer: _Writer) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = _name(member.filename, writer)
            kind = member.external_attr >> 28  # of what Unix calls the file's mode
            if not name:
                continue
            if member.is_dir():
                writer.folder(name)
            elif kind not in (0, 8):
                raise DataError(f"{writer.archive} holds {name!r}, which is a link or a device")
            else:
                with archive.open(member) as data:
                    writer.file(name, data, member.file_size)


def _untar(file: Any, writer: _Writer) -> None:
    links = []
    with tarfile.open(fileobj=file, mode="r:*") as archive:
        listed: Any = archive
        for member in archive:
            name = _name(member.name, writer)
            if not name:
                continue
            if member.isdir():
                writer.folder(name)
            elif member.isfile():
                data = archive.extractfile(member)
                assert data is not None
                writer.file(name, data, member.size)
            elif member.islnk() or member.issym():
                here = posixpath.dirname(name) if member.issym() else ""
                links.append((name, posixpath.join(here, member.linkname)))
            else:
                raise DataError(f"{writer.archive} holds {name!r}, which is a device")
            listed.members = []  # else every name is kept
    for name, aim in links:
        writer.link(name, aim)


def _name(name: str, writer: _Writer) -> str:
    """Return a member's name below the target, or "" for what is left out."""
    clean = clean_name(name, writer.archive)
    return "" if not clean or is_junk(clean) else clean


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""Files in a folder, a tar or a zip: listed once, read in place, never extracted.

A name is a path with forward slashes relative to the container, the same for a folder and for its archive. A plain tar
and a zip are read by byte offset, so that any process may read any member. A compressed tar has no offsets: each
process unpacks it into its memory when it first reads, which is why it is meant for small data.
"""

from __future__ import annotations

import dataclasses
import gzip
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, MissingError

IMAGE_ENDINGS = frozenset(
    (".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
JUNK = frozenset(("Thumbs.db", "ehthumbs.db", "desktop.ini", "__MACOSX", "@eaDir"))
"""What file managers leave behind; hidden files are junk too."""
GZIP_LIMIT = 4 << 30
"""Bytes that an unpacked `.tar.gz` may take in memory."""

Kind = Literal["folder", "tar", "tar.gz", "zip"]


def is_image(name: str) -> bool:
    """Tell whether a file's name ends as an image's does."""
    return os.path.splitext(name)[1].lower() in IMAGE_ENDINGS  # noqa: PTH122 - called once per file of large data


def is_junk(name: str) -> bool:
    """Tell whether a path lies under, or is, a hidden file or a file manager's leftover."""
    return any(part.startswith(".") or part in JUNK for part in name.split("/"))


def clean_name(name: str, path: Path) -> str:
    """Return a member's name without "./"; raise DataError for a name that is not the same everywhere."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise DataError(f"{path} holds the name {name!r}, which leads out of it or is spelt for another system")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path} holds the name {name!r}, which is not UTF-8") from error
    return "/".join(parts)


def not_whole(path: Path, error: Exception) -> DataError:
    """Return the error for a damaged archive; tarfile's own has a line for each kind that it tried."""
    reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(":")
    return DataError(f"{path} is not a whole archive: {reason}. Download it again.")


def kind_of(path: Path) -> Kind:
    """Return how `path` is read; raise MissingError where nothing is there, DataError for an unknown kind of file."""
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise MissingError(f"there is no file or folder {path}")
    name = path.name.lower()
    if name.endswith((".tar.gz", ".tgz")):
        return "tar.gz"
    if name.endswith(".tar"):
        return "tar"
    if name.endswith(".zip"):
        return "zip"
    raise DataError(f"{path} is neither a folder nor a .tar, .tar.gz or .zip file; unpack it and name the folder")


def files_of(path: Path) -> list[Path]:
    """Return the files on disk that `path` stands for: itself, or all files in a folder, sorted, less junk.

    Raises MissingError where it is not there.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MissingError(f"there is no file or folder {path}")
    return [path / name for name, is_folder in sorted(_walk(path)) if not is_folder]


def require(*places: Path) -> None:
    """Raise MissingError that names all places, folders or files, that are absent."""
    if absent := [str(place) for place in places if not place.exists()]:
        raise MissingError(f"there is no file or folder {', '.join(absent)}")


def files_of_all(*places: Path) -> list[Path]:
    """Return the files that several places stand for, place by place; raise MissingError that names all absent."""
    require(*places)
    return [file for place in places for file in files_of(place)]


@dataclasses.dataclass(frozen=True)
class Listing:
    """What a container holds, junk left out."""

    path: Path
    kind: Kind
    spans: dict[str, tuple[int, int, int, int]]
    """File name to (offset, bytes, packed bytes, checksum), sorted by name; zeros for a folder."""
    folders: tuple[str, ...]
    """Names of the folders that the container mentions, sorted."""

    def source(self, names: Sequence[str]) -> Files | Members:
        """Return the files called `names` as images by position; raise DataError for a name that is not there."""
        for name in names:
            if name not in self.spans:
                raise DataError(f"{self.path} holds no file {name!r}")
        if self.kind == "folder":
            return Files(self.path, tuple(names))
        spans = np.array([self.spans[name] for name in names], dtype=np.int64).reshape(-1, 4)
        return Members(self.path, self.kind, spans)

    def read(self, name: str) -> bytes:
        """Return the bytes of one file."""
        return self.source([name]).read(0)


@dataclasses.dataclass(frozen=True)
class Files:
    """Files in a folder, by position."""

    folder: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """Return the bytes of file `index`; raise MissingError where it is gone since it was listed."""
        path = self.folder / self.names[index]
        try:
            return path.read_bytes()
        except OSError as error:
            raise MissingError(f"cannot read {path}: {error.strerror}") from error


@dataclasses.dataclass(eq=False)
class Members:
    """Members of an archive, by position. The file is opened for each read, so processes and threads share nothing."""

    path: Path
    kind: Kind
    spans: NDArray[np.int64]  # (members, 4): offset, bytes, packed bytes, checksum
    _unpacked: bytes | None = None

    def __len__(self) -> int:
        return len(self.spans)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_unpacked": None}

    def read(self, index: int) -> bytes:
        """Return the bytes of member `index`; raise DataError where the archive ends early or is damaged."""
        offset, size, packed, checksum = (int(value) for value in self.spans[index])
        if self.kind == "tar.gz":
            if self._unpacked is None:
                self._unpacked = _unpack(self.path)
            data = self._unpacked[offset : offset + size]
        else:
            try:
                with self.path.open("rb") as file:
                    file.seek(offset)
                    data = file.read(size) if self.kind == "tar" else _read_zipped(file, size, packed, checksum)
            except (zlib.error, struct.error) as error:
                raise DataError(f"{self.path} is damaged at byte {offset}: {error}. Download it again.") from error
            except OSError as error:
                raise MissingError(f"cannot read {self.path}: {error.strerror}") from error
        if len(data) != size:
            raise DataError(f"{self.path} ends inside a member at byte {offset}. Download it again.")
        return data


def listing(path: Path) -> Listing:
    """Return what the folder or archive `path` holds.

    Raises MissingError where it is not there; DataError for a damaged archive, and for members that are links, lead
    out of the archive, share a name or have a name that is not UTF-8.
    """
    kind = kind_of(path)
    spans: dict[str, tuple[int, int, int, int]] = {}
    folders = set()
    for name, is_folder, span in _entries(path, kind):
        clean = clean_name(name, path)
        if not clean or is_junk(clean):
            continue
        if is_folder:
            folders.add(clean)
        elif clean in spans:
            raise DataError(f"{path} holds {clean!r} twice; pack it again")
        else:
            spans[clean] = span
    return Listing(path, kind, dict(sorted(spans.items())), tuple(sorted(folders)))


def _entries(path: Path, kind: Kind) -> Iterator[tuple[str, bool, tuple[int, int, int, int]]]:
    """Yield (name, whether it is a folder, span) as the container spells them."""
    if kind == "folder":
        for name, is_folder in _walk(path):
            yield name, is_folder, (0, 0, 0, 0)
        return
    try:
        if kind == "zip":
            yield from _zip_entries(path)
        else:
            yield from _tar_entries(path)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise not_whole(path, error) from error


def _walk(folder: Path, prefix: str = "", above: tuple[tuple[int, int], ...] = ()) -> Iterator[tuple[str, bool]]:
    """Yield (name, whether it is a folder) for all under `folder` but junk; links are followed, loops are an error."""
    stat = folder.stat()
    here = (stat.st_dev, stat.st_ino)
    if here in above:
        raise DataError(f"{folder} is a link to a folder that holds it")
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_junk(entry.name):
                continue
            name = prefix + entry.name
            yield name, entry.is_dir()
            if entry.is_dir():
                yield from _walk(Path(entry.path), name + "/", (*above, here))


def _tar_entries(path: Path) -> Iterator[tuple[str, bool, tuple[int, int, int, int]]]:
    with tarfile.open(path) as archive:
        for name, data in tar_members(archive, path):
            span = (data.offset_data, data.size, data.size, 0) if data is not None else (0, 0, 0, 0)
            yield name, data is None, span


def tar_members(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, tarfile.TarInfo | None]]:
    """Yield (name, where its data lie) in the archive's order, None for a folder.

    Raises DataError for links and the like, and for an archive that ends without the zeros that end one: tarfile takes
    one that was cut at a member's head, or damaged there, for whole.
    """
    seen: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        seen[member.name] = member
        data = seen.get(member.linkname) if member.islnk() else member
        if member.isdir():
            yield member.name, None
        elif data is None or not data.isfile() or data.issparse():
            if not is_junk(member.name.removeprefix("./")):
                raise DataError(f"{path} holds {member.name!r}, which is no plain file; pack it again without it")
        else:
            yield member.name, data
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DataError(f"{path} is cut or damaged at byte {archive.offset}. Download or pack it again.")


def _zip_entries(path: Path) -> Iterator[tuple[str, bool, tuple[int, int, int, int]]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{path} holds {member.filename!r}, which is encrypted or packed in a rare way")
            span = (member.header_offset, member.file_size, member.compress_size, member.CRC)
            yield member.filename, member.is_dir(), span


def _read_zipped(file: Any, size: int, packed: int, checksum: int) -> bytes:
    """Return a zip member's bytes; `file` stands at its local header (PKWARE APPNOTE 4.3.7)."""
    header = file.read(30)
    signature, _, _, method, *_, name_length, extra_length = struct.unpack("<4s5H3I2H", header)
    if signature != b"PK\x03\x04":
        raise zlib.error("no member begins here")
    file.seek(name_length + extra_length, os.SEEK_CUR)
    data: bytes = file.read(packed)
    if method == zipfile.ZIP_DEFLATED:
        data = zlib.decompressobj(-15).decompress(data, size + 1)  # never more than it announces
    if zlib.crc32(data) != checksum:
        raise zlib.error("the checksum does not fit")
    return data


def _unpack(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            data = file.read(GZIP_LIMIT + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise not_whole(path, error) from error
    if len(data) > GZIP_LIMIT:
        raise DataError(f"{path} unpacks to more than {GZIP_LIMIT >> 30} GiB; make it a plain tar: gunzip {path}")
    return data

"""A deflated member of a zip file, read at any place in bounded memory.

Deflate has no places to begin at. One pass unpacks the member piece by piece, keeps nothing but the state of the
unpacker at the start of each piece (about 40 KB, zlib's window; RFC 1951), and checks the whole; a read then unpacks
from the nearest start. Threads may read at once.
"""

from __future__ import annotations

import collections
import dataclasses
import struct
import threading
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

PIECE = 1 << 20
"""Unpacked bytes from one start to the next, or more:"""
STARTS = 3000
"""… so many starts, 120 MB, are kept at most."""
RECENT = 12
"""Pieces that are kept unpacked for the next read."""
READ = 1 << 16


@dataclasses.dataclass(frozen=True)
class _Start:
    """Where a piece begins."""

    offset: int
    """In the file, of the first byte that the unpacker has not taken."""
    unpacker: Any


class Deflated:
    """The bytes of one member; raises zlib.error where it is damaged, KeyError where it is not there."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        with zipfile.ZipFile(path) as archive:
            self.member = archive.getinfo(name)
        self.piece = max(PIECE, -(-self.member.file_size // STARTS))
        self._recent: collections.OrderedDict[int, bytes] = collections.OrderedDict()
        self._lock = threading.Lock()
        with path.open("rb") as file:
            self.starts = self._unpack_once(file)

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes from `offset` of the unpacked member."""
        first, last = offset // self.piece, (offset + size - 1) // self.piece
        whole = b"".join(map(self._unpacked, range(first, last + 1)))
        begin = offset - first * self.piece
        return whole[begin : begin + size]

    def _unpack_once(self, file: BinaryIO) -> list[_Start]:
        """Return the starts; raise zlib.error where the member does not have the length and sum that it should."""
        header = struct.unpack("<26x2H", _skip(file, self.member.header_offset).read(30))  # PKWARE APPNOTE 4.3.7
        begin = self.member.header_offset + 30 + sum(header)
        unpacker = zlib.decompressobj(-15)
        starts = [_Start(begin, unpacker.copy())]
        checksum = length = 0
        while length < self.member.file_size:
            data, offset = _inflated(file, unpacker, starts[-1].offset, self.piece)
            checksum, length = zlib.crc32(data, checksum), length + len(data)
            starts.append(_Start(offset, unpacker.copy()))
        if checksum != self.member.CRC or length != self.member.file_size:
            raise zlib.error("the checksum does not fit")
        return starts

    def _unpacked(self, number: int) -> bytes:
        """Return a piece, kept for the next read."""
        with self._lock:
            if number in self._recent:
                self._recent.move_to_end(number)
                return self._recent[number]
        start = self.starts[number]
        with self.path.open("rb") as file:
            data, _ = _inflated(file, start.unpacker.copy(), start.offset, self.piece)
        with self._lock:
            self._recent[number] = data
            while len(self._recent) > RECENT:
                self._recent.popitem(last=False)
        return data


def _skip(file: BinaryIO, offset: int) -> BinaryIO:
    file.seek(offset)
    return file


def _inflated(file: BinaryIO, unpacker: Any, offset: int, size: int) -> tuple[bytes, int]:
    """Return up to `size` unpacked bytes, fewer at the end, and the offset of the first packed byte not taken."""
    parts, missing = [], size
    file.seek(offset)
    packed = b""
    while missing and not unpacker.eof:
        if not packed:
            packed = file.read(READ)
            offset += len(packed)
        before = len(packed)
        part = unpacker.decompress(packed, missing)
        packed = unpacker.unconsumed_tail
        if not part and not before:
            raise zlib.error("it ends early")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts), offset - len(packed)

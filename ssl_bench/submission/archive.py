"""A plain tar of plain files, of which every byte is known: no compression, links, devices, owners, times, extensions.

Each header is a function of name and size alone. A reader writes it again and compares, so that nothing that another
tool could hide in a tar (a link, a sparse file, a pax record, a second name) is there to be interpreted.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import IO

from ssl_bench.errors import UsageError
from ssl_bench.submission.limits import USUAL, Limits, readable

BLOCK = 512
END = bytes(2 * BLOCK)
NAME = re.compile(
    r"manifest\.json|records\.jsonl|card\.toml|attest\.json|attest\.json\.sig|env/lock\.txt"
    r"|samples/[0-9a-f]{64}\.parquet|sketch/[0-9a-f]{16}-[0-9a-f]{16}-[a-z0-9_]{1,40}\.npy",
)
"""Every name that a member can have."""
KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a pipe",
    b"S": "a sparse file",
    b"L": "a GNU extension",
    b"K": "a GNU extension",
    b"x": "a pax extension",
    b"g": "a pax extension",
}
"""Type flags of tar that are not a plain file's."""


@dataclasses.dataclass(frozen=True)
class Member:
    """Where a member's content lies."""

    offset: int
    size: int


def header(name: str, size: int) -> bytes:
    """Return the one header (POSIX ustar, 512 bytes) that a member of this name and size has."""
    fields = [
        name.encode("ascii").ljust(100, b"\0"),
        b"0000644\0",  # mode
        b"0000000\0" * 2,  # owner, group
        b"%011o\0" % size,
        b"00000000000\0",  # time
        b" " * 8,  # checksum, counted as spaces
        b"0",  # a plain file
        bytes(100),  # link
        b"ustar\00000",
        bytes(64),  # names of owner and group
        b"0000000\0" * 2,  # device
        bytes(155 + 12),
    ]
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def write(file: IO[bytes], members: Iterable[tuple[str, bytes]]) -> None:
    """Write members (name, content), which must come sorted by name."""
    for name, content in members:
        if not NAME.fullmatch(name):
            raise ValueError(f"no member of a bundle is called {name!r}")
        file.write(header(name, len(content)))
        file.write(content)
        file.write(bytes(-len(content) % BLOCK))
    file.write(END)


def scan(file: IO[bytes], total: int, limits: Limits = USUAL) -> dict[str, Member]:
    """Return the members of a file of `total` bytes, by name; no content is read.

    Raises UsageError that names the member, and what of it is not as `write` writes it.
    """
    if total > limits.total:
        raise UsageError(f"has {total:,} bytes, more than {limits.total:,}")
    found: dict[str, Member] = {}
    last, offset = "", 0
    while True:
        file.seek(offset)
        block = file.read(BLOCK)
        if block == bytes(BLOCK):
            break
        name, size = _named(block, len(found) + 1)
        if name <= last:
            raise UsageError(f"{name}: is there twice, or not in the order of the names")
        if size > limits.member:
            raise UsageError(f"{name}: has {size:,} bytes, more than {limits.member:,}")
        if len(found) >= limits.members:
            raise UsageError(f"holds more than {limits.members:,} members")
        offset += BLOCK
        if offset + size > total:
            raise UsageError(
                f"{name}: is cut off: it should have {size:,} bytes, and {max(0, total - offset):,} follow"
            )
        found[name] = Member(offset, size)
        file.seek(offset + size)
        if any(file.read(-size % BLOCK)):
            raise UsageError(f"{name}: hides bytes after its end")
        last, offset = name, offset + size + -size % BLOCK
    file.seek(offset)
    if file.read(len(END) + 1) != END or offset + len(END) != total:
        raise UsageError("does not end as a bundle does: it is cut off, or something follows its end")
    return found


def _named(block: bytes, number: int) -> tuple[str, int]:
    """Return name and size of a header that is exactly as `header` writes it."""
    which = f"member {number} ({readable(block[:100].rstrip(bytes(1)))!r})"
    if len(block) < BLOCK:
        raise UsageError(f"is cut off at member {number}")
    if block[257:262] != b"ustar":
        raise UsageError("is no bundle: not a plain tar, or a damaged one" if number == 1 else f"{which}: is damaged")
    if kind := KINDS.get(block[156:157]):
        raise UsageError(f"{which}: is {kind}; a bundle holds plain files alone")
    name = block[:100].rstrip(b"\0").decode("ascii", "replace")
    if not NAME.fullmatch(name):
        raise UsageError(f"{which}: no member of a bundle is called so")
    digits = block[124:135]
    if not re.fullmatch(rb"[0-7]{11}", digits) or block != header(name, int(digits, 8)):
        raise UsageError(f"{which}: its header is not the one that ssl-bench writes")
    return name, int(digits, 8)

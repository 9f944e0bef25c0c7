"""Tars that are not what they seem."""

from __future__ import annotations

import gzip
import os
import tarfile
import zipfile
from io import BytesIO

from ssl_bench.submission import archive, bundle
from tests.submission.factory import written
from tests.submission.hostile.base import Arena, Case

FOREIGN = "no member of a bundle is called so"
HEADER = "its header is not the one that ssl-bench writes"


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def header(change: object, name: str = "card.toml", size: int = 0) -> bytes:
    """Return a tar of one member whose header somebody changed byte by byte, its checksum made good."""
    block = bytearray(archive.header(name, size))
    for offset, content in change.items():  # type: ignore[attr-defined]
        block[offset : offset + len(content)] = content
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + archive.END


def whole(arena: Arena) -> bytes:
    return written(arena.folder / "right.tar").read_bytes()


def zipped(arena: Arena) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("manifest.json", b"0" * 50_000_000)
    return buffer.getvalue()


def hole(arena: Arena) -> object:
    """A file of two gigabytes that takes no place on the disk."""
    with arena.path.open("wb") as file:
        file.write(archive.header("card.toml", 2**28))
        os.truncate(file.fileno(), 2**31)
    return bundle.read(arena.path)


def replaced(arena: Arena) -> object:
    """Another bundle takes the file's place after it was checked and before its predictions are read."""
    found = bundle.read(written(arena.path))
    arena.path.write_bytes(arena.path.read_bytes().replace(b"PAR1", b"PAR2"))
    return found.table(found.records[0])


def emptied(arena: Arena) -> object:
    found = bundle.read(written(arena.path))
    arena.path.write_bytes(b"")
    return found.table(found.records[0])


def removed(arena: Arena) -> object:
    found = bundle.read(written(arena.path))
    arena.path.unlink()
    return found.table(found.records[0])


def pipe(arena: Arena) -> object:
    os.mkfifo(arena.path)
    return bundle.read(arena.path)


def linked(arena: Arena) -> object:
    """In a pull request a bundle may be a link to a secret; its content must not be told."""
    (arena.folder / "secret").write_text("password=hunter2\n" * 100)
    arena.path.symlink_to(arena.folder / "secret")
    return bundle.read(arena.path)


def folder(arena: Arena) -> object:
    arena.path.mkdir()
    return bundle.read(arena.path)


CASES = (
    Case("a path that leads up", lambda a: a.tar(("../records.jsonl", b"x")), FOREIGN),
    Case("a path that leads up from within", lambda a: a.tar(("samples/../../x.parquet", b"x")), FOREIGN),
    Case("an absolute path", lambda a: a.tar(("/etc/cron.d/job", b"x")), FOREIGN),
    Case("a path of Windows", lambda a: a.tar(("samples\\..\\..\\x", b"x")), FOREIGN),
    Case("a drive of Windows", lambda a: a.tar(("C:card.toml", b"x")), FOREIGN),
    Case("a path that begins with a dot", lambda a: a.tar(("./card.toml", b"x")), FOREIGN),
    Case("a name that goes on after NUL", lambda a: a.raw(header({0: b"card.toml\0.sh\0"})), FOREIGN + "|" + HEADER),
    Case("a name with a line break", lambda a: a.tar(("card.toml\n", b"x")), FOREIGN),
    Case("a name in capitals", lambda a: a.tar(("CARD.TOML", b"x")), FOREIGN),
    Case("a name in wide letters", lambda a: a.tar(("ｃard.toml", b"x")), FOREIGN),
    Case("a name that steers a terminal", lambda a: a.tar(("env/\x1b]0;x\x07lock.txt", b"x")), FOREIGN),
    Case("a name that steers the direction of text", lambda a: a.tar(("card\u202elmot.", b"x")), FOREIGN),
    Case("a symbolic link", lambda a: a.tar(info("records.jsonl", tarfile.SYMTYPE, "/etc/passwd")), "symbolic link"),
    Case("a hard link", lambda a: a.tar(info("records.jsonl", tarfile.LNKTYPE, "card.toml")), "is a hard link"),
    Case("a character device", lambda a: a.tar(info("records.jsonl", tarfile.CHRTYPE)), "is a device"),
    Case("a block device", lambda a: a.tar(info("records.jsonl", tarfile.BLKTYPE)), "is a device"),
    Case("a pipe inside", lambda a: a.tar(info("records.jsonl", tarfile.FIFOTYPE)), "is a pipe"),
    Case("a folder inside", lambda a: a.tar(info("samples", tarfile.DIRTYPE)), "is a folder"),
    Case("a sparse member", lambda a: a.tar(info("records.jsonl", tarfile.GNUTYPE_SPARSE)), "is a sparse file"),
    Case("a contiguous member", lambda a: a.raw(header({156: b"7"})), HEADER),
    Case("a type of one's own", lambda a: a.raw(header({156: b"Z"})), HEADER),
    Case(
        "a pax record that renames the next member",
        lambda a: a.tar(info("card.toml", pax_headers={"path": "../x"}), kind=tarfile.PAX_FORMAT),
        "pax extension",
    ),
    Case(
        "a pax record for all members",
        lambda a: a.raw(header({156: b"g"})),
        "pax extension",
    ),
    Case("a long name of GNU", lambda a: a.tar(("a" * 120, b"x"), kind=tarfile.GNU_FORMAT), "GNU extension"),
    Case("a name that continues in the prefix", lambda a: a.raw(header({345: b"../.."})), HEADER),
    Case(
        "a member that stands twice", lambda a: a.raw(archive.header("card.toml", 0) * 2 + archive.END), "there twice"
    ),
    Case(
        "members in another order",
        lambda a: a.raw(archive.header("records.jsonl", 0) + archive.header("card.toml", 0) + archive.END),
        "not in the order",
    ),
    Case("a size beyond the file", lambda a: a.raw(archive.header("card.toml", 2**27) + archive.END), "is cut off"),
    Case("a size beyond the limit", lambda a: a.raw(archive.header("card.toml", 2**33 - 1) + archive.END), "more than"),
    Case("a size below zero", lambda a: a.raw(header({124: b"\xff" * 12})), HEADER),
    Case("a size in another base", lambda a: a.raw(header({124: b"\x80" + b"\0" * 10 + b"\x01"})), HEADER),
    Case("a size with a sign", lambda a: a.raw(header({124: b"-0000000001\0"})), HEADER),
    Case("a file of two gigabytes of nothing", hole, "bytes, more than 1,073,741,824"),
    Case(
        "a million members",
        lambda a: a.raw(b"".join(archive.header(f"samples/{i:064x}.parquet", 0) for i in range(20_010)) + archive.END),
        "holds more than 20,000 members",
    ),
    Case("rights of another user", lambda a: a.raw(header({100: b"0006777\0"})), HEADER),
    Case("an owner", lambda a: a.raw(header({265: b"root"})), HEADER),
    Case("a time", lambda a: a.raw(header({136: b"17777777777\0"})), HEADER),
    Case(
        "a checksum that is none",
        lambda a: a.raw(archive.header("card.toml", 0)[:148] + bytes(364) + archive.END),
        "is no bundle: not a plain tar, or a damaged one",
    ),
    Case("a compressed tar", lambda a: a.raw(gzip.compress(b"\0" * 50_000_000)), "is no bundle|cut off"),
    Case("a zip that unpacks to 50 MB", lambda a: a.raw(zipped(a)), "is no bundle"),
    Case("a second archive after the first", lambda a: a.raw(whole(a) * 2), "follows its end"),
    Case("words after the end", lambda a: a.raw(whole(a) + b"#!/bin/sh\n" + bytes(502)), "follows its end"),
    Case(
        "bytes hidden after a member's end",
        lambda a: a.raw(archive.header("card.toml", 1) + b"x" * 512 + archive.END),
        "hides bytes",
    ),
    Case("half a bundle", lambda a: a.raw(whole(a)[:5_000]), "cut off"),
    Case("nothing", lambda a: a.raw(b""), "cut off"),
    Case("a bundle that is replaced while it is read", replaced, "its content is not the one that the manifest names"),
    Case("a bundle that is emptied while it is read", emptied, "its content is not the one that the manifest names"),
    Case("a bundle that is removed while it is read", removed, "cannot read"),
    Case("a pipe that nobody writes to", pipe, "it is no file"),
    Case("a link to a secret", linked, r"is no bundle: not a plain tar"),
    Case("a folder for a bundle", folder, "it is no file"),
)

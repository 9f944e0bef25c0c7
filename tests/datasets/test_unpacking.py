"""Archives that a stranger made: whole ones become their files, and no other writes outside or without measure."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ssl_bench.datasets import unpacking
from ssl_bench.datasets.unpacking import unpack
from ssl_bench.errors import DataError, MissingError

FILES = {"a/one.png": b"1" * 3000, "a/b/two.png": b"22", "three.txt": b""}
Member = tuple[str, bytes, bytes, str]
"""Name, content, kind as tar writes it, what it links to."""


def tar(path: Path, members: list[Member]) -> Path:
    """Write members as they are, sane or not."""
    kind = {".gz": "gz", ".bz2": "bz2", ".xz": "xz"}.get(path.suffix, "")
    with tarfile.open(path, f"w:{kind}") as archive:
        for name, content, type_, link in members:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = len(content), type_, link
            archive.addfile(info, io.BytesIO(content))
    return path


def plain(name: str, content: bytes = b"x") -> Member:
    return name, content, tarfile.REGTYPE, ""


def zipped(path: Path, members: list[Member]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, *_ in members:
            archive.writestr(name, content)
    return path


def seen(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "zip"])
def test_whole_archives(tmp_path: Path, ending: str) -> None:
    """Every kind becomes the files that it was made of, without what file managers leave, and tells how far it is."""
    members = [plain(f"./{name}" if "t" in ending else name, content) for name, content in FILES.items()]
    members += [plain("a/._one.png"), plain("__MACOSX/a/one.png"), plain(".DS_Store")]
    path = tmp_path / f"x.{ending}"
    (zipped if ending == "zip" else tar)(path, members)
    told: list[int] = []
    unpack(path, tmp_path / "out", told.append)
    assert seen(tmp_path / "out") == FILES
    assert 0 < sum(told) <= path.stat().st_size


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_one_packed_file(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    """A packed file that is no tar becomes one file."""
    (tmp_path / f"m.mat.{ending}").write_bytes(pack(b"matrix" * 1000))
    unpack(tmp_path / f"m.mat.{ending}", tmp_path / "deep" / "m.mat")
    assert (tmp_path / "deep" / "m.mat").read_bytes() == b"matrix" * 1000


ESCAPES = ["../out.png", "/tmp/out.png", "a/../../out.png", "a\\..\\out.png", "..", "C:\\out.png"]


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("ending", ["tar", "zip"])
def test_names_that_lead_out(tmp_path: Path, ending: str, name: str) -> None:
    """A name that leads out of the folder, or does on another system, is refused, and nothing is written there."""
    path = (zipped if ending == "zip" else tar)(tmp_path / f"x.{ending}", [plain("fine.png"), plain(name)])
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=r"x\.(tar|zip) holds the name .*leads out of it"):
        unpack(path, tmp_path / "in" / "out")
    assert {p.name for p in tmp_path.iterdir()} == {f"x.{ending}", "in"}
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["out"]


def test_links_inside(tmp_path: Path) -> None:
    """Links to members of the archive become copies, wherever they stand; none is followed."""
    members = [
        ("early.png", b"", tarfile.LNKTYPE, "a/one.png"),
        ("a/soft.png", b"", tarfile.SYMTYPE, "one.png"),
        ("b/soft.png", b"", tarfile.SYMTYPE, "../a/one.png"),
        plain("a/one.png", b"1"),
    ]
    unpack(tar(tmp_path / "x.tar", members), tmp_path / "out")
    assert seen(tmp_path / "out") == dict.fromkeys(("a/one.png", "a/soft.png", "b/soft.png", "early.png"), b"1")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("aim", ["/etc/passwd", "../../secret", "../secret", "nowhere", "."])
def test_links_out(tmp_path: Path, kind: bytes, aim: str) -> None:
    """A link, soft or hard, to what is no file of the archive is refused."""
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(DataError, match=r"a link to .*, which is no file in it"):
        unpack(tar(tmp_path / "x.tar", [plain("a.png"), ("l", b"", kind, aim)]), tmp_path / "out")
    assert set(seen(tmp_path / "out")) == {"a.png"}


def test_a_link_as_a_way_out(tmp_path: Path) -> None:
    """A link to a folder outside, and a file that is to be written through it, write nothing there."""
    (tmp_path / "outside").mkdir()
    members = [("door", b"", tarfile.SYMTYPE, str(tmp_path / "outside")), plain("door/file.png")]
    with pytest.raises(DataError):
        unpack(tar(tmp_path / "x.tar", members), tmp_path / "out")
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices(tmp_path: Path, kind: bytes) -> None:
    """Devices and pipes are refused."""
    with pytest.raises(DataError, match="'null', which is a device"):
        unpack(tar(tmp_path / "x.tar", [("null", b"", kind, "")]), tmp_path / "out")


def test_links_in_a_zip(tmp_path: Path) -> None:
    """A zip's links, which only some programs know, are refused."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        info = zipfile.ZipInfo("door")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
    with pytest.raises(DataError, match="'door', which is a link or a device"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


@pytest.mark.parametrize("ending", ["tar.gz", "tar.bz2", "tar.xz", "zip"])
def test_bombs(tmp_path: Path, ending: str) -> None:
    """What grows far beyond its size is not unpacked, and nearly nothing of it was written."""
    members = [plain("bomb.png", bytes(1_000_000))]
    path = (zipped if ending == "zip" else tar)(tmp_path / f"x.{ending}", members)
    with pytest.raises(DataError, match=r"unpacks to more than 0 MB.*unpack it by hand"):
        unpack(path, tmp_path / "out", limit=20 * path.stat().st_size)
    assert sum(map(len, seen(tmp_path / "out").values())) == 0


def test_bombs_that_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip that says its member is small, a packed file, and a million empty files stop at the limit too."""
    path = zipped(tmp_path / "x.zip", [plain("bomb.png", bytes(1_000_000))])
    size = (1_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(DataError):
        unpack(path, tmp_path / "out")
    assert sum(map(len, seen(tmp_path / "out").values())) <= 10
    monkeypatch.setattr(unpacking, "FLOOR", 100_000)
    (tmp_path / "m.gz").write_bytes(gzip.compress(bytes(3_000_000)))
    with pytest.raises(DataError, match="unpacks to more than"):
        unpack(tmp_path / "m.gz", tmp_path / "m")
    assert (tmp_path / "m").stat().st_size <= 100_000 + unpacking.CHUNK
    many = tar(tmp_path / "many.tar.xz", [plain(f"{number}", b"") for number in range(1000)])
    with pytest.raises(DataError, match="unpacks to more than"):
        unpack(many, tmp_path / "many")


@pytest.mark.parametrize("ending", ["tar", "zip"])
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("a/One.png", "a/one.png"), "'a/One.png' and 'a/one.png', which are one name"),
        (("A/one.png", "a/two.png"), "'A' and 'a', which are one name"),
        (("caf\u00e9.png", "cafe\u0301.png"), "which are one name"),
        (("one.png", "./one.png"), "'one.png' twice"),
        (("a", "a/one.png"), "as a file and as a folder"),
        (("a/one.png", "a"), "as a file and as a folder"),
    ],
)
def test_names_that_collide(tmp_path: Path, ending: str, names: tuple[str, ...], words: str) -> None:
    """Two members that would be one file on some disk are refused: which one is it?"""
    path = (zipped if ending == "zip" else tar)(tmp_path / f"x.{ending}", [plain(name) for name in names])
    with pytest.raises(DataError, match=words):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "gz", "bz2", "xz"])
@pytest.mark.parametrize("damage", ["cut", "other"])
def test_damaged(tmp_path: Path, ending: str, damage: str) -> None:
    """An archive that ends early, or is none, is an error that names it and the mend."""
    path = tmp_path / f"x.{ending}"
    content = bytes(range(256)) * 100
    if ending in ("gz", "bz2", "xz"):
        path.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[ending].compress(content))  # type: ignore[attr-defined]
    else:
        (zipped if ending == "zip" else tar)(path, [plain("a.png", content), plain("b.png", content)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3] if damage == "cut" else b"<html>" * 999)
    with pytest.raises(DataError, match=rf"x\.{ending} is not a whole archive: .*Download it again"):
        unpack(path, tmp_path / "out")


def test_other_kinds(tmp_path: Path) -> None:
    """An archive of a kind that is not unpacked here is named, with the kinds that are; so is an encrypted zip."""
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    with pytest.raises(DataError, match=r"x\.rar is of no kind that is unpacked here \(\.zip, .*unpack it by hand"):
        unpack(tmp_path / "x.rar", tmp_path / "out")
    path = zipped(tmp_path / "x.zip", [plain("a.png")])
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        unpack(path, tmp_path / "out")


def test_a_full_disk(tmp_path: Path) -> None:
    """A disk that is full is told as that, and not as a damaged archive."""
    import resource

    path = tar(tmp_path / "x.tar.gz", [plain("a.png", bytes(range(256)) * 4000)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(MissingError, match=r"cannot unpack .*x\.tar\.gz to .*out: File too large; make room"):
            unpack(path, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

from __future__ import annotations

import io
import pickle
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ssl_bench.datasets import containers
from ssl_bench.errors import DataError, MissingError


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip"])
def test_archive_is_the_folder(folder: Path, tmp_path: Path, packer: Callable[..., Path], ending: str) -> None:
    """An archive lists and reads the same names and bytes as the folder it was packed from."""
    whole, packed = containers.listing(folder), containers.listing(packer(folder, tmp_path / f"a.{ending}"))
    assert list(packed.spans) == list(whole.spans)
    names = list(whole.spans)[::-1]
    source = pickle.loads(pickle.dumps(packed.source(names)))  # noqa: S301 - what multiprocessing does
    assert [source.read(i) for i in range(len(names))] == [(folder / name).read_bytes() for name in names]


def test_pickle_is_small(folder: Path, tmp_path: Path, packer: Callable[..., Path]) -> None:
    """What an archive was unpacked to does not travel to other processes."""
    listing = containers.listing(packer(folder, tmp_path / "a.tar.gz"))
    source = listing.source(list(listing.spans))
    before = len(pickle.dumps(source))
    source.read(0)
    assert len(pickle.dumps(source)) == before < 2000


@pytest.mark.parametrize("name", ["../out.png", "/etc/x.png", "a/../../b.png", "a\\b.png"])
def test_unsafe_names(tmp_path: Path, name: str) -> None:
    """A member whose name leads out of its archive is refused."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(DataError, match="leads out of it"):
        containers.listing(tmp_path / "a.tar")


def test_links(tmp_path: Path) -> None:
    """A hard link in a tar reads its target; a symbolic link is refused."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("a.png")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("b.png")
        link.type, link.linkname = tarfile.LNKTYPE, "a.png"
        archive.addfile(link)
    assert containers.listing(path).read("b.png") == b"abc"
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("c.png")
        link.type, link.linkname = tarfile.SYMTYPE, "a.png"
        archive.addfile(link)
    with pytest.raises(DataError, match=r"'c.png', which is no plain file"):
        containers.listing(path)


def test_same_name_twice(tmp_path: Path) -> None:
    """A tar that holds a name twice is refused."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("a.png"), io.BytesIO())
    with pytest.raises(DataError, match="twice"):
        containers.listing(tmp_path / "a.tar")


def test_folder_loop(tmp_path: Path) -> None:
    """A link to a folder above is an error, not an endless walk."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    with pytest.raises(DataError, match="a link to a folder that holds it"):
        containers.listing(tmp_path)


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip"])
def test_truncated(folder: Path, tmp_path: Path, packer: Callable[..., Path], ending: str) -> None:
    """An archive that ends early is an error that names it, when it is listed and when a listed member is read."""
    path = packer(folder, tmp_path / f"a.{ending}")
    listing = containers.listing(path)
    path.write_bytes(path.read_bytes()[:600])
    last = list(listing.spans)[-1]
    with pytest.raises(DataError, match=rf"a\.{ending}"):
        listing.read(last)
    with pytest.raises(DataError, match=rf"a\.{ending} is not a whole archive"):
        containers.listing(path)


def test_a_tar_cut_between_members(folder: Path, tmp_path: Path, packer: Callable[..., Path]) -> None:
    """A tar file that was cut just where a member begins, or in its head, or damaged there, is not taken for whole."""
    path = packer(folder, tmp_path / "a.tar")
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1].offset
    whole = path.read_bytes()
    for content in (whole[: last + 100], whole[:last], whole[:last] + b"?" * 512 + whole[last + 512 :]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"a\.tar is cut or damaged at byte {last}"):
            containers.listing(path)


def test_damaged_zip(tmp_path: Path) -> None:
    """A zip member whose bytes changed does not pass its checksum."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"0123456789")
    listing = containers.listing(path)
    path.write_bytes(path.read_bytes().replace(b"01234", b"01x34"))
    with pytest.raises(DataError, match="checksum"):
        listing.read("a.png")


def test_a_zip_that_lies(tmp_path: Path) -> None:
    """A member that unpacks to more than the archive says is refused, and no more than that is unpacked."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(50_000_000))
    said, lie = (50_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(said, lie))
    listing = containers.listing(path)
    tracemalloc.start()
    with pytest.raises(DataError, match="the checksum does not fit"):
        listing.read("a.png")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_missing_and_unknown(tmp_path: Path) -> None:
    """A path that is not there is missing; a file of another kind is refused."""
    with pytest.raises(MissingError, match="there is no file or folder"):
        containers.listing(tmp_path / "none.tar")
    (tmp_path / "a.rar").touch()
    with pytest.raises(DataError, match=r"neither a folder nor a \.tar"):
        containers.listing(tmp_path / "a.rar")


def test_rare_zip(tmp_path: Path) -> None:
    """A zip packed by a method that cannot be read by offset is refused."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.png", b"0123456789")
    with pytest.raises(DataError, match="packed in a rare way"):
        containers.listing(tmp_path / "a.zip")

"""Data from a server by the command line: mirrors, what goes wrong on the way, and what is never taken for whole."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssl_bench import download
from tests.cli.conftest import Command, Said
from tests.cli.test_run import images
from tests.datasets.conftest import pack
from tests.datasets.test_replicas import Quiet

CARD = """
title = "Own"
reader = "image_folder"
classes = 2
[data]
path = "own/images"
[source]
url = "here"
samples = {{ train = 24, test = 24 }}
[[source.files]]
path = "own/images"
urls = ["{address}/archives/own.tar.gz"]
sha256 = "{sha256}"
unpack = "images"
"""
Fetch = Callable[..., Said]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a server that gives the folder `site`."""
    (tmp_path / "site" / "archives").mkdir(parents=True)
    handler = functools.partial(Quiet, directory=str(tmp_path / "site"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def archive(tmp_path: Path, site: str) -> Path:
    """The archive on the server, and a card on the shelf `.` that knows its sha256 and address."""
    images(tmp_path / "packed" / "images")
    path = pack(tmp_path / "packed", tmp_path / "site" / "archives" / "own.tar.gz", prefix="")
    card(tmp_path, site, path)
    return path


def card(folder: Path, address: str, path: Path) -> None:
    (folder / "tasks").mkdir(exist_ok=True)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "tasks/own.toml").write_text(CARD.format(address=address, sha256=sha256))


@pytest.fixture
def fetch(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetch:
    """Run `ssl-bench data fetch own` into a data folder of the test's own."""
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path / "data"))
    return lambda *words: command("data", "fetch", "own", "--shelf", ".", *words)


def test_fetched_and_checked(command: Command, fetch: Fetch, archive: Path, tmp_path: Path) -> None:
    """What is fetched is there, as the card says, for every command; a second fetch needs no server."""
    assert "to download" in command("data", "ls", "own", "--shelf", ".").out
    said = fetch()
    assert said.code == 0
    assert said.out == f"data of own: {tmp_path / 'data/own/images'}\n"
    assert "downloading own.tar.gz" in said.err
    archive.unlink()
    assert fetch().code == 0
    assert "own\there" in command("data", "ls", "own", "--shelf", ".").out
    assert (
        "own: whole\n  samples     train 24, test 24, as the card says"
        in command("data", "check", "own", "--shelf", ".").out
    )


def test_a_run_fetches_what_it_lacks(command: Command, fetch: Fetch, archive: Path) -> None:
    """`run --fetch` downloads the data and measures; offline it says what is missing before anything is done."""
    run = ("run", "-m", "pixels,size=8", "-t", "own", "-p", "knn,k=3", "--shelf", ".", "--fetch")
    said = command(*run, "--offline")
    assert said.code == 6
    assert "Get it: ssl-bench data fetch own" in said.err
    assert command(*run).code == 0


def test_mirrors(fetch: Fetch, archive: Path, tmp_path: Path, site: str) -> None:
    """A mirror is asked by name and by host, over the network or on this machine, and need not have every file."""
    card(tmp_path, "http://127.0.0.1:9", archive)
    assert "refused" in fetch().out
    assert fetch("--mirror", f"{site}/nothing").code == 6
    assert fetch("--mirror", f"{site}/archives").code == 0
    for place in ("own.tar.gz", "127.0.0.1:9/archives/own.tar.gz"):
        target = tmp_path / "mirror" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        archive.rename(target)
        (tmp_path / "data").rename(tmp_path / f"data before {target.parent.name}")
        assert fetch("--mirror", str(tmp_path / "mirror")).code == 0
        archive = target


def test_what_goes_wrong(fetch: Fetch, archive: Path, tmp_path: Path) -> None:
    """A page in the archive's place, another file, a cut one and none: one line, exit code 6, and nothing is left."""
    whole = archive.read_bytes()
    cases = {
        b"<!DOCTYPE html><title>Sign in</title>": "gives a web page, not the file: it has moved, or asks for a login",
        whole[:-1]: "does not have the sha256",
        whole + b"x": "does not have the sha256",
        b"": "does not have the sha256",
        None: "own.tar.gz: 404 File not found",
    }
    for content, words in cases.items():
        archive.unlink() if content is None else archive.write_bytes(content)
        said = fetch()
        assert said.code == 6
        assert said.out.startswith("data of own: MISSING: cannot download own.tar.gz: ")
        assert words in said.out
        assert said.out.count("\n") == 1
        assert [path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    archive.write_bytes(whole)
    assert fetch().code == 0


def test_archives_that_are_not_to_be_trusted(fetch: Fetch, archive: Path, tmp_path: Path, site: str) -> None:
    """An archive that leads out of its folder, or lacks what the card takes from it, is named and kept; no more is."""
    import io
    import tarfile

    for name, words in (("../../out.png", "leads out of it"), ("pictures/a.png", "holds no 'images', which the card")):
        with tarfile.open(archive, "w:gz") as packed:
            packed.addfile(tarfile.TarInfo(name), io.BytesIO())
        card(tmp_path, site, archive)
        said = fetch()
        assert said.code == 6
        assert words in said.out
        [kept] = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and path.suffix != ".lock"]
        assert str(kept) in said.out
        assert kept.name == "own.tar.gz"
        kept.unlink()


def test_a_folder_in_the_way(fetch: Fetch, archive: Path, tmp_path: Path) -> None:
    """What a killed run left half unpacked is removed; what a person put there is left alone."""
    half = tmp_path / "data/own/.images.fetch/unpacked/images/train/dark"
    half.mkdir(parents=True)
    (half / "half.png").write_bytes(b"half")
    assert fetch().code == 0
    assert len(list((tmp_path / "data/own/images").rglob("*.png"))) == 48
    (tmp_path / "data/own/images/test/dark/0.png").write_bytes(b"mine")
    assert fetch().code == 0
    assert (tmp_path / "data/own/images/test/dark/0.png").read_bytes() == b"mine"

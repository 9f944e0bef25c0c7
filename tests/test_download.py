"""Downloads: resumed, verified, from the first address that answers; a local server stands for the network."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import multiprocessing
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssl_bench import download as module
from ssl_bench.download import download, mirrored
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.pins import Pin
from ssl_bench.progress import PlainProgress, Progress

CONTENT = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
PIN = Pin(SHA256)
PAGE = b"\n<!DOCTYPE html><html><body>Sign in to go on</body></html>"


class Server(http.server.BaseHTTPRequestHandler):
    """Gives CONTENT, whole or from a place on; its class says how it misbehaves."""

    ranges = True
    etag = '"one"'
    breaks_after = 0
    """Bytes after which the first answers end, though more were announced."""
    breaks = 0
    busy = 0
    """First answers that are "503 Service Unavailable"."""
    announces = 0
    """Bytes announced besides those that there are."""
    begins = 0
    """Bytes by which a range begins elsewhere than was asked for."""
    chunked = False
    """The length is not announced."""
    asked: list[str]

    def do_GET(self) -> None:
        kind = type(self)
        kind.asked.append(self.headers.get("Range", ""))
        refusals = {"/absent": 404, "/secret": 403}
        if kind.busy or self.path in refusals:
            kind.busy = max(0, kind.busy - 1)
            self.send_error(refusals.get(self.path, 503))
            return
        content = PAGE if self.path == "/page" else CONTENT
        start = 0
        fits = self.headers.get("If-Range", kind.etag) == kind.etag
        if kind.ranges and self.headers.get("Range") and fits:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        if start:
            start -= kind.begins
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if kind.etag:
            self.send_header("ETag", kind.etag)
        self.send_header("Content-Type", "text/html" if self.path == "/page" else "application/octet-stream")
        if not kind.chunked:
            self.send_header("Content-Length", str(len(content) - start + kind.announces))
        self.end_headers()
        body = content[start:]
        if kind.breaks:
            kind.breaks -= 1
            body = body[: kind.breaks_after]
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.0)


@pytest.fixture
def server() -> Iterator[tuple[str, type[Server]]]:
    kind = type("Own", (Server,), {"asked": []})
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}", kind
    made.shutdown()
    made.server_close()


def left(folder: Path) -> list[str]:
    """The names in a folder, but for locks."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.parametrize("pin", [Pin(SHA256, size=len(CONTENT)), Pin(md5=MD5), Pin()])
def test_a_whole_file(server: tuple[str, type[Server]], tmp_path: Path, pin: Pin) -> None:
    """A file arrives as it is, nothing is left beside it, and a second call asks nobody."""
    address, kind = server
    for _ in range(2):
        path = download([f"{address}/w.pth"], tmp_path / "w.pth", Progress(), pin)
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == ["w.pth"]
    assert kind.asked == [""]


def test_a_broken_connection_is_taken_up(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """What arrived before a connection broke is not asked for again, and breaks that bring more are no failures."""
    address, kind = server
    kind.breaks, kind.breaks_after = 5, 1_000_000
    path = download([f"{address}/w"], tmp_path / "w", Progress(), PIN)
    assert path.read_bytes() == CONTENT
    assert kind.asked == ["", *(f"bytes={n}000000-" for n in range(1, 6))]


def test_a_later_run_goes_on(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """A download that was given up goes on at the next call, at another process's too."""
    address, kind = server
    give_up(address, kind, tmp_path)
    assert download([f"{address}/w"], tmp_path / "w", Progress()).read_bytes() == CONTENT
    assert kind.asked[-1] == "bytes=500000-"


def give_up(address: str, kind: type[Server], folder: Path, pin: Pin | None = None) -> None:
    """Download half a megabyte from a server that then is no more."""
    ranges, kind.ranges = kind.ranges, False  # so that no try brings more than the one before
    kind.breaks, kind.breaks_after = 9, 500_000
    with pytest.raises(MissingError, match="the connection broke after 500000 of"):
        download([f"{address}/w"], folder / "w", Progress(), pin)
    kind.ranges, kind.breaks = ranges, 0
    assert not (folder / "w").exists()


def test_a_busy_server_is_asked_again(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """A server that is busy has the file a little later; one that stays so is told."""
    address, kind = server
    kind.busy = 2
    assert download([f"{address}/w"], tmp_path / "w", Progress(), PIN).read_bytes() == CONTENT
    kind.busy = 9
    with pytest.raises(MissingError, match="503 Service Unavailable"):
        download([f"{address}/v"], tmp_path / "v", Progress(), PIN)


@pytest.mark.parametrize("change", ["etag", "ranges", "begins"])
def test_another_version_starts_anew(server: tuple[str, type[Server]], tmp_path: Path, change: str) -> None:
    """Where the server's file has changed, or it cannot go on, the beginning is not glued to another end."""
    address, kind = server
    give_up(address, kind, tmp_path)
    setattr(kind, change, {"etag": '"two"', "ranges": False, "begins": 100}[change])
    assert download([f"{address}/w"], tmp_path / "w", Progress()).read_bytes() == CONTENT


def test_a_server_that_names_no_version(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """Without the server's word for its version a checksum lets a download go on; what does not fit starts anew."""
    address, kind = server
    kind.etag = ""
    give_up(address, kind, tmp_path, PIN)
    assert download([f"{address}/w"], tmp_path / "w", Progress(), PIN).read_bytes() == CONTENT
    assert kind.asked[-1] == "bytes=500000-"
    give_up(address, kind, tmp_path / "other", PIN)
    (tmp_path / "other/w.part").write_bytes(bytes(500_000))
    assert download([f"{address}/w"], tmp_path / "other/w", Progress(), PIN).read_bytes() == CONTENT
    assert kind.asked[-2:] == ["bytes=500000-", ""]


def test_the_next_address_is_tried(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """An address that has not the file, or another, gives way to the next; none left is one line that names all."""
    address, _ = server
    silent = "http://127.0.0.1:9/w"
    urls = [silent, f"{address}/absent", f"{address}/page", f"{address}/w"]
    assert download(urls, tmp_path / "w", Progress(), PIN).read_bytes() == CONTENT
    with pytest.raises(MissingError, match=r"cannot download v: .*refused.*; .*absent: 404.*; .*secret: 403") as error:
        download([silent, f"{address}/absent", f"{address}/secret"], tmp_path / "v", Progress())
    assert "\n" not in str(error.value)


def test_another_address_goes_on_with_what_the_first_gave(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """With a checksum, what one address gave is not asked of the next again."""
    address, kind = server
    give_up(address, kind, tmp_path, PIN)
    assert download([f"{address}/copy"], tmp_path / "w", Progress(), PIN).read_bytes() == CONTENT
    assert kind.asked[-1] == "bytes=500000-"


WRONG = [
    (Pin("0" * 64), "w", "does not have the sha256 0000"),
    (Pin(md5="0" * 32), "w", "does not have the md5 0000"),
    (Pin(size=7), "w", "announces 5,120,000 bytes, not the 7"),
    (PIN, "page", "gives a web page, not the file: it has moved, or asks for a login"),
    (Pin(), "page", "gives a web page"),
]


@pytest.mark.parametrize(("pin", "name", "words"), WRONG, ids=range(len(WRONG)))
def test_a_wrong_file_is_removed(
    server: tuple[str, type[Server]], tmp_path: Path, pin: Pin, name: str, words: str
) -> None:
    """A file that is not the pinned one, and a page in its place, are told in one line and not kept."""
    address, _ = server
    with pytest.raises(UsageError, match=rf"cannot download w: .*{words}.*; it was removed") as error:
        download([f"{address}/{name}"], tmp_path / "w", Progress(), pin)
    assert "\n" not in str(error.value)
    assert left(tmp_path) == []


def test_a_server_that_lies_about_the_length(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """Less than was announced is no whole file, more than the card says is not taken, and no length at all is well."""
    address, kind = server
    kind.announces = 1000
    with pytest.raises(MissingError, match="the connection broke after 5120000 of 5121000 bytes"):
        download([f"{address}/w"], tmp_path / "w", Progress())
    kind.announces = -1000
    with pytest.raises(UsageError, match="does not have the sha256"):
        download([f"{address}/v"], tmp_path / "v", Progress(), PIN)
    kind.announces, kind.chunked = 0, True
    with pytest.raises(UsageError, match="gives more than the 1,000 bytes"):
        download([f"{address}/u"], tmp_path / "u", Progress(), Pin(SHA256, size=1000))
    assert download([f"{address}/t"], tmp_path / "t", Progress(), PIN).read_bytes() == CONTENT


def test_a_full_disk(server: tuple[str, type[Server]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full is told as that, at no address's cost, and so is one that would be; what arrived is kept."""
    address, kind = server
    (tmp_path / "w.part").symlink_to("/dev/full")
    monkeypatch.setattr(module, "_start", lambda *words: None)  # it would begin with a new file
    with pytest.raises(MissingError, match=r"cannot write .*w\.part: No space left on device; what arrived is kept"):
        download([f"{address}/w", f"{address}/w"], tmp_path / "w", Progress(), PIN)
    assert kind.asked == [""]
    monkeypatch.undo()
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(MissingError, match=r"v takes 0\.0 GB, but .* has 0\.0 GB free; make room"):
        download([f"{address}/v"], tmp_path / "v", Progress(), PIN)


def get(urls: list[str], path: Path, said: Any) -> None:
    progress = Progress()
    progress.say = said.put  # type: ignore[method-assign]
    download(urls, path, progress, PIN)


def test_two_processes_do_the_work_once(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """Of several processes that want one file one downloads it, and the others wait and say so."""
    address, kind = server
    context = multiprocessing.get_context("fork")
    said = context.Queue()
    started = [context.Process(target=get, args=([f"{address}/w"], tmp_path / "w", said)) for _ in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * 4
    assert kind.asked == [""]
    assert (tmp_path / "w").read_bytes() == CONTENT


def test_progress_tells_the_time_left(
    server: tuple[str, type[Server]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a file arrives, how much of it has, how fast and how long the rest takes are shown."""
    address, _ = server
    progress = PlainProgress()
    progress.every = 0.0
    download([f"{address}/w"], tmp_path / "w", progress, PIN)
    assert "downloading w: 2/5 MB" in (told := capsys.readouterr().err)
    assert "s left" in told


def test_mirrors(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """A mirror is asked first, by the file's name and by host and path; it may be a folder of this machine."""
    url = "https://example.org/a/b.tar?download=1"
    named, laid_out = "http://m/x/b.tar", "http://m/x/example.org/a/b.tar"
    assert mirrored("http://m/x/", [url]) == [named, laid_out, url]
    assert mirrored("", [url]) == [url]
    for place in ("b.tar", "example.org/a/b.tar"):
        (tmp_path / "mirror" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / place).write_bytes(CONTENT)
        urls = mirrored(str(tmp_path / "mirror"), [url])
        assert download(urls, tmp_path / place / "got", Progress(), PIN).read_bytes() == CONTENT
        (tmp_path / "mirror" / place).unlink()

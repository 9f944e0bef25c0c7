"""Downloads: resumed, verified, from the first address that answers; a local server stands for the network."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssl_bench.download import download
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.progress import Progress

CONTENT = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Gives CONTENT, whole or from a place on; its class says how it misbehaves."""

    ranges = True
    etag = '"one"'
    breaks_after = 0
    """Bytes after which the first answers end, though more were announced."""
    breaks = 0
    asked: list[str]

    def do_GET(self) -> None:
        kind = type(self)
        kind.asked.append(self.headers.get("Range", ""))
        if self.path == "/absent":
            self.send_error(404)
            return
        start = 0
        if kind.ranges and self.headers.get("Range") and self.headers.get("If-Range") == kind.etag:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(CONTENT):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("ETag", kind.etag)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        body = CONTENT[start:]
        if kind.breaks:
            kind.breaks -= 1
            body = body[: kind.breaks_after]
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[Server]]]:
    kind = type("Own", (Server,), {"asked": []})
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}", kind
    made.shutdown()
    made.server_close()


def test_a_whole_file(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """A file arrives as it is, nothing is left beside it, and a second call asks nobody."""
    address, kind = server
    for _ in range(2):
        path = download([f"{address}/w.pth"], tmp_path / "w.pth", Progress(), sha256=SHA256, size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["w.pth"]
    assert kind.asked == [""]


def test_a_broken_connection_is_taken_up(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """What arrived before a connection broke is not asked for again."""
    address, kind = server
    kind.breaks, kind.breaks_after = 2, 1_000_000
    path = download([f"{address}/w"], tmp_path / "w", Progress(), sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert kind.asked == ["", "bytes=1000000-", "bytes=2000000-"]


def test_a_later_run_goes_on(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """A download that was given up goes on at the next call, at another process's too."""
    address, kind = server
    kind.breaks, kind.breaks_after = 3, 500_000
    with pytest.raises(MissingError, match="the connection broke after 500000 of"):
        download([f"{address}/w"], tmp_path / "w", Progress())
    assert not (tmp_path / "w").exists()
    assert download([f"{address}/w"], tmp_path / "w", Progress()).read_bytes() == CONTENT
    assert kind.asked[-1] == "bytes=1500000-"


@pytest.mark.parametrize("change", ["etag", "ranges"])
def test_another_version_starts_anew(server: tuple[str, type[Server]], tmp_path: Path, change: str) -> None:
    """Where the server's file has changed, or it cannot go on, the beginning is not glued to another end."""
    address, kind = server
    kind.breaks, kind.breaks_after = 3, 500_000
    with pytest.raises(MissingError):
        download([f"{address}/w"], tmp_path / "w", Progress())
    setattr(kind, change, '"two"' if change == "etag" else False)
    assert download([f"{address}/w"], tmp_path / "w", Progress(), sha256=SHA256).read_bytes() == CONTENT


def test_the_next_address_is_tried(server: tuple[str, type[Server]], tmp_path: Path) -> None:
    """An address that does not have the file, or does not answer, gives way to the next; none left is one line."""
    address, _ = server
    silent = "http://127.0.0.1:9/w"
    urls = [silent, f"{address}/absent", f"{address}/w"]
    assert download(urls, tmp_path / "w", Progress()).read_bytes() == CONTENT
    with pytest.raises(MissingError, match=r"cannot download v: .*refused.*; .*absent: 404 Not Found"):
        download(urls[:2], tmp_path / "v", Progress())


@pytest.mark.parametrize("pinned", [{"sha256": "0" * 64}, {"size": 7}])
def test_a_wrong_file_is_removed(server: tuple[str, type[Server]], tmp_path: Path, pinned: dict[str, object]) -> None:
    """A file that is not the pinned one is told and not kept."""
    address, _ = server
    with pytest.raises(UsageError, match="which its card pins; it was removed"):
        download([f"{address}/w"], tmp_path / "w", Progress(), **pinned)
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]

"""Whole processes that fetch and prepare data, killed at any moment and run again: the same bytes as undisturbed."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ssl_bench

CARD = """
title = "Noise"
reader = "image_folder"
classes = 2
[data]
path = "noise/images"
[source]
url = "here"
[[source.files]]
path = "noise/images"
urls = ["{address}/noise.tar.gz"]
sha256 = "{sha256}"
bytes = {bytes}
unpack = "images"
"""
COUNT = 600
"""Images of each class and split; 2,400 in all."""


class Slow(http.server.BaseHTTPRequestHandler):
    """Gives one archive, from any place on, a little at a time."""

    content = b""
    asked: list[str]

    def do_GET(self) -> None:
        kind = type(self)
        kind.asked.append(self.headers.get("Range", ""))
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(kind.content) - 1}/{len(kind.content)}")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(kind.content) - start))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for place in range(start, len(kind.content), 1 << 16):
                self.wfile.write(kind.content[place : place + (1 << 16)])
                time.sleep(0.03)

    def log_message(self, *words: object) -> None:
        """Keep the test's output quiet."""


def archive() -> bytes:
    """A tar.gz of noise."""
    draw, buffer = np.random.default_rng(0), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as packed:
        for split in ("train", "test"):
            for name in ("ant", "bee"):
                for number in range(COUNT):
                    image = io.BytesIO()
                    Image.fromarray(draw.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(image, "png")
                    info = tarfile.TarInfo(f"images/{split}/{name}/{number}.png")
                    info.size = len(image.getvalue())
                    packed.addfile(info, io.BytesIO(image.getvalue()))
    return buffer.getvalue()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[type[Slow]]:
    """The server, and a shelf with a card whose archive it gives."""
    kind = type("Own", (Slow,), {"asked": [], "content": archive()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    (tmp_path / "tasks").mkdir()
    facts = {"sha256": hashlib.sha256(kind.content).hexdigest(), "bytes": len(kind.content)}
    address = f"http://127.0.0.1:{server.server_address[1]}"
    (tmp_path / "tasks/noise.toml").write_text(CARD.format(address=address, **facts))
    yield kind
    server.shutdown()
    server.server_close()


def start(folder: Path, home: str, *words: str) -> subprocess.Popen[str]:
    """Start `ssl-bench` with everything in a folder of its own."""
    line = [sys.executable, "-m", "ssl_bench", *words, "--shelf", ".", "--data", f"{home}/data", "--cache", home]
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(ssl_bench.__file__).parent.parent), "NO_PROXY": "*"}
    return subprocess.Popen(
        line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process that must succeed, and return what it printed."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def kill_when(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Kill a process at the moment when something is so; it must come to that before it ends."""
    while not reached():
        assert process.poll() is None, process.communicate()
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def tree(folder: Path) -> str:
    """A digest of all files under a folder that are no locks, with their names."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))
    whole = hashlib.sha256()
    for path in found:
        whole.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return f"{len(found)} files, {whole.hexdigest()}"


@pytest.mark.slow
def test_killed_at_every_stage(slow: type[Slow], tmp_path: Path) -> None:
    """A fetch killed while it downloads and while it unpacks goes on, and ends with the bytes of an undisturbed one.

    Until then the data is missing, and no command takes it for whole.
    """
    finish(start(tmp_path, "calm", "data", "fetch", "noise"))
    work = tmp_path / "wild/data/noise/.images.fetch"
    part = work / "noise.tar.gz.part"
    size, slow.asked[:] = len(slow.content), []

    def arrived(share: float) -> Callable[[], bool]:
        return lambda: part.is_file() and part.stat().st_size > share * size

    def unpacked(count: int) -> Callable[[], bool]:
        return lambda: sum(len(names) for _, _, names in os.walk(work / "unpacked")) > count

    for stage in (arrived(0.1), arrived(0.5), arrived(0.8), unpacked(0), unpacked(500), unpacked(1200)):
        kill_when(start(tmp_path, "wild", "data", "fetch", "noise"), stage)
        assert start(tmp_path, "wild", "data", "path", "noise").wait() == 6
    assert slow.asked[0] == ""
    assert len(slow.asked) == 4
    assert all(int(asked[6:-1]) > size * share for asked, share in zip(slow.asked[1:], (0.1, 0.5, 0.8), strict=True))
    finish(start(tmp_path, "wild", "data", "fetch", "noise"))
    assert len(slow.asked) == 4
    assert tree(tmp_path / "wild/data") == tree(tmp_path / "calm/data")
    assert tree(tmp_path / "wild/data").startswith("2400 files")


@pytest.mark.slow
def test_killed_while_it_prepares(slow: type[Slow], tmp_path: Path) -> None:
    """A check killed while it reads and decodes leaves nothing half, and says the same when it is run again."""
    finish(start(tmp_path, "calm", "data", "fetch", "noise"))
    finish(start(tmp_path, "wild", "data", "fetch", "noise"))
    told = finish(start(tmp_path, "calm", "data", "check", "noise", "--duplicates"))
    draw = np.random.default_rng(0)
    for _ in range(4):
        process = start(tmp_path, "wild", "data", "check", "noise", "--duplicates")
        until = time.monotonic() + draw.uniform(0.2, 1.2)
        with contextlib.suppress(AssertionError):  # it may be done before
            kill_when(process, lambda until=until: time.monotonic() > until)  # type: ignore[misc]
    assert finish(start(tmp_path, "wild", "data", "check", "noise", "--duplicates")) == told
    [calm], [wild] = (list((tmp_path / home / "datasets").glob("[!.]*")) for home in ("calm", "wild"))
    assert wild.read_bytes() == calm.read_bytes()  # its name tells when the files were made


def test_two_processes_fetch_once(slow: type[Slow], tmp_path: Path) -> None:
    """Of two processes that fetch the same data one downloads and unpacks; the other waits, says so and is content."""
    both = [start(tmp_path, "home", "data", "fetch", "noise") for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert slow.asked == [""]
    assert sum("another run is downloading it; waiting" in err for _, err in said) == 1


def test_a_full_disk_is_one_line(slow: type[Slow], tmp_path: Path) -> None:
    """Where the disk is full one line names the file and the mend; the next run, with room, goes on."""
    import resource

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))

    line = [sys.executable, "-m", "ssl_bench", "data", "fetch", "noise", "--shelf", ".", "--data", "home/data"]
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(ssl_bench.__file__).parent.parent), "NO_PROXY": "*"}
    full = subprocess.run(
        line, cwd=tmp_path, env=environment, capture_output=True, text=True, preexec_fn=small, check=False
    )
    assert full.returncode == 6
    assert "noise.tar.gz.part: File too large; what arrived is kept" in full.stdout + full.stderr
    assert "Traceback" not in full.stderr
    finish(start(tmp_path, "home", "data", "fetch", "noise"))
    assert slow.asked[1] == "bytes=1000000-"

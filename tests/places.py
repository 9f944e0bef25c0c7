"""The places that records may lie in: the same tests hold for a folder and for an object store."""

from __future__ import annotations

import dataclasses
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssl_bench.results.store import Results

BUCKET = "records"


@dataclasses.dataclass(frozen=True)
class Place:
    """One root, and a view of its files that the store has no part in."""

    root: str
    server: Any = None
    """The file system of the object store; None for a folder."""

    def results(self, cache: Path | None = None) -> Results:
        """Return the store as a new process would open it."""
        return Results(self.root, cache)

    def beside(self, name: str) -> Place:
        """Return another root of the same kind."""
        return Place(f"{self.root}-{name}", self.server)

    def files(self) -> dict[str, bytes]:
        """Return every visible file, name to content."""
        if self.server is None:
            root = Path(self.root)
            found = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
            return {name: path.read_bytes() for name, path in found.items() if not path.name.startswith(".")}
        start = self.root.removeprefix("s3://")
        names = self.server.find(start)
        return {name[len(start) + 1 :]: self.server.cat_file(name) for name in sorted(names)}

    def write(self, name: str, content: bytes | str) -> None:
        """Put a file where a stranger might."""
        content = content.encode() if isinstance(content, str) else content
        if self.server is not None:
            self.server.pipe_file(f"{self.root.removeprefix('s3://')}/{name}", content)
            return
        path = Path(self.root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    """The file system of a local S3 server, which this process and those that it starts find by the environment."""
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.mkdir(BUCKET)
    yield files
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A root of each kind, empty."""
    if request.param == "folder":
        return Place(str(tmp_path / "root"))
    return Place(f"s3://{BUCKET}/{uuid.uuid4().hex}", request.getfixturevalue("s3_server"))

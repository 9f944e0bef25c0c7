"""A real S3 server on loopback, in a process of its own, with one empty bucket; what it holds ends with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.clusters import processes

BUCKET = "shared"


class S3:
    """A server that runs while the `with` block does; `environment` is what its clients need beside their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = processes.free_ports(1)[0]
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def __enter__(self) -> S3:
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "s3.out"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = processes.start(command, log, os.environ)
        try:
            processes.wait_for(lambda: self.ask(f"s.mkdir({BUCKET!r})") is not None, "the S3 server", log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def names(self, prefix: str) -> list[str]:
        """Return the objects whose key begins with `prefix`."""
        return sorted((self.ask(f"print(*s.find({f'{BUCKET}/{prefix}'!r}), sep=chr(10))") or "").split())

    def ask(self, code: str) -> str | None:
        """Return what code prints in a process of its own, where `s` is the server's file system; None if it fails."""
        program = f"import s3fs; s = s3fs.S3FileSystem(use_listings_cache=False); {code}"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout if done.returncode == 0 else None

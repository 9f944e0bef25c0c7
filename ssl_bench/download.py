"""Files from the network: resumed where they stopped, from the first of several addresses that answers, and verified.

What is downloaded lies beside its place as `<name>.part`, with `<name>.part.from` that says which version it is of, and
takes its name when it is whole. The standard library does it: no client that is kept well resumes, verifies and takes
mirrors without bringing a service of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl_bench import __version__
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import digest_file, lock
from ssl_bench.progress import Progress

CHUNK = 2**20
TIMEOUT = 60.0
"""Seconds without an answer before the next address is tried."""
TRIES = 3
"""Times that a connection which breaks is taken up again, at each address."""
UNITS = 1e6
"""Progress counts megabytes."""


def download(urls: Sequence[str], path: Path, progress: Progress, *, sha256: str = "", size: int = 0) -> Path:
    """Fetch a file from the first of `urls` that has it to `path`, going on with what an earlier try left.

    Two processes that want the same file wait for one another. Raises MissingError, with what each address said, where
    none has it, and UsageError where the whole file does not have the `sha256` or `size` (bytes) that were given; it is
    then removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = f"{path.name}: another run is downloading it; waiting"
    with lock(path.with_name(f".{path.name}.lock"), on_wait=lambda: progress.say(waiting)):
        if path.is_file():
            return path
        part = path.with_name(f"{path.name}.part")
        said = []
        for url in urls:
            try:
                _fetch(url, part, progress, path.name)
            except (OSError, http.client.HTTPException, ValueError) as error:
                said.append(f"{url}: {_reason(error)}")
                continue
            _verify(part, url, sha256, size)
            _about(part).unlink(missing_ok=True)
            return part.replace(path)
    raise MissingError(f"cannot download {path.name}: {'; '.join(said) or 'no address is known'}")


def _about(part: Path) -> Path:
    return part.with_name(f"{part.name}.from")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    return str(getattr(error, "reason", "") or error or type(error).__name__)


def _verify(part: Path, url: str, sha256: str, size: int) -> None:
    """Raise UsageError, and remove the file, unless it is the one that was asked for."""
    found = part.stat().st_size
    wrong = f"has {found} bytes, not {size}" if size and found != size else ""
    if not wrong and sha256 and (digest := digest_file(part)) != sha256:
        wrong = f"does not have the sha256 {sha256} but {digest}"
    if wrong:
        part.unlink()
        _about(part).unlink(missing_ok=True)
        raise UsageError(f"the file from {url} {wrong}, which its card pins; it was removed")


def _fetch(url: str, part: Path, progress: Progress, label: str) -> None:
    """Bring `part` to the whole of what `url` gives; a connection that breaks is taken up again a few times."""
    for attempt in range(TRIES):
        try:
            with contextlib.closing(_open(url, part)) as answer:
                _store(answer, part, progress, label)
            return
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException):
            if attempt == TRIES - 1:
                raise


def _open(url: str, part: Path) -> Any:
    """Ask for what `part` lacks; where the server gives the whole instead, or another version, `part` starts anew."""
    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": f"ssl-bench/{__version__}"}
    version = _version_of(part)
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        part.unlink()  # longer than what the server has: not of this file
        return _open(url, part)
    if answer.status != 206:
        part.unlink(missing_ok=True)
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        _about(part).write_text(json.dumps({"url": url, "version": "" if version.startswith("W/") else version}))
    return answer


def _version_of(part: Path) -> str:
    """Return the server's name for the version that `part` is a beginning of, or "" where it gave none."""
    try:
        return str(json.loads(_about(part).read_text())["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _store(answer: Any, part: Path, progress: Progress, label: str) -> None:
    """Append what the server sends; raise OSError where it ends before the length that it announced."""
    announced = answer.headers.get("Content-Length")
    left = int(announced) if announced else 0
    received = 0
    with part.open("ab") as file, progress.track(f"downloading {label}", round(left / UNITS), "MB") as advance:
        shown = 0
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            received += len(chunk)
            advance(int(received / UNITS) - shown)
            shown = int(received / UNITS)
    if announced and received < left:
        raise OSError(f"the connection broke after {received} of {left} bytes")

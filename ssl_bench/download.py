"""Files from the network: resumed where they stopped, from the first of several addresses that has them, and verified.

What is downloaded lies beside its place as `<name>.part`, with `<name>.part.from` that says which version it is of, and
takes its name when it is whole. The standard library does it: no client that is kept well resumes, verifies and takes
mirrors without bringing a service of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from ssl_bench import __version__
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import lock
from ssl_bench.pins import UNITS, Pin, WrongFileError, verify
from ssl_bench.progress import Progress

CHUNK = 2**18
"""Bytes that are asked of a connection at once; what it has by then is written."""
TIMEOUT = 60.0
"""Seconds without an answer before the next address is tried."""
TRIES = 3
"""Times that a connection which breaks, or a server that is busy, is asked again, at each address."""
PAUSE = 1.0
"""Seconds before the next try; twice as many after each that brought nothing."""
BUSY = (429, 500, 502, 503, 504)
"""Answers of a server that may well have the file a little later."""


def download(urls: Sequence[str], path: Path, progress: Progress, pin: Pin | None = None) -> Path:
    """Fetch a file from the first of `urls` that has it to `path`, going on with what an earlier try left.

    Two processes that want the same file wait for one another. Raises MissingError, with what each address said, where
    none has it or the disk is full, and UsageError where all that came is not what `pin` says; it is then removed.
    """
    pin = pin or Pin()
    with lock(path.with_name(f".{path.name}.lock"), on_wait=lambda: progress.say(waiting(path.name))):
        if path.is_file():
            return path
        part = path.with_name(f"{path.name}.part")
        said, wrong = [], False
        for url in urls:
            try:
                _fetch(url, part, progress, path.name, pin)
            except WrongFileError as error:
                wrong = True
                said.append(str(error))
            except (OSError, http.client.HTTPException, ValueError) as error:
                said.append(f"{url}: {_reason(error)}")
            else:
                _about(part).unlink(missing_ok=True)
                return part.replace(path)
    if wrong:
        raise UsageError(f"cannot download {path.name}: {'; '.join(said)}; it was removed")
    raise MissingError(f"cannot download {path.name}: {'; '.join(said) or 'no address is known'}")


def waiting(name: str) -> str:
    """Return the news that another process does the work."""
    return f"{name}: another run is downloading it; waiting"


def mirrored(mirror: str, urls: Sequence[str], name: str = "") -> list[str]:
    """Return where to look, in order: in `mirror` by the file's name, there by host and path, and then at `urls`.

    The second is how `wget -x` lays files out. `mirror` is the address of a folder, or a folder of this machine.
    """
    if not mirror or not urls:
        return list(urls)
    if "://" not in mirror:
        mirror = Path(mirror).expanduser().resolve().as_uri()
    address = urllib.parse.urlsplit(urls[0])
    places = (name or address.path.rpartition("/")[2], f"{address.netloc}{address.path}")
    return [*(f"{mirror.rstrip('/')}/{place}" for place in places), *urls]


def _about(part: Path) -> Path:
    return part.with_name(f"{part.name}.from")


def _remove(part: Path) -> None:
    part.unlink(missing_ok=True)
    _about(part).unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    return str(getattr(error, "reason", "") or error or type(error).__name__)


def _fetch(url: str, part: Path, progress: Progress, label: str, pin: Pin, anew: bool = False) -> None:
    """Bring `part` to the whole of what `url` gives, and verify it.

    A connection that breaks and a server that is busy are asked again as long as that brings more, and else a few
    times. What was put together from two answers and is not the file is asked for once more from its beginning.
    """
    furthest, tries = _size(part), 0
    while True:
        try:
            with contextlib.closing(_open(url, part, pin)) as answer:
                resumed = _store(answer, part, progress, label, pin)
            break
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.URLError) and getattr(error, "code", 0) not in BUSY:
                raise
            tries = 0 if _size(part) > furthest else tries + 1
            furthest = max(furthest, _size(part))
            if tries == TRIES:
                raise
        time.sleep(PAUSE * 2**tries)
    try:
        verify(part, url, pin, progress, label)
    except WrongFileError:
        _remove(part)
        if not resumed or anew:
            raise
        _fetch(url, part, progress, label, pin, anew=True)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _open(url: str, part: Path, pin: Pin) -> Any:
    """Ask for what `part` lacks; where the server gives the whole instead, or another version, `part` starts anew.

    Without the server's word for the version the rest is asked for only if a checksum will tell whether it fits.
    """
    have = _size(part)
    headers = {"User-Agent": f"ssl-bench/{__version__}"}
    origin, version = _origin(part)
    if have and version and origin == url:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    elif have and pin.checksum:
        headers |= {"Range": f"bytes={have}-"}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if have == pin.size:
            return error  # nothing is lacking
        _remove(part)  # longer than what the server has: not of this file
        return _open(url, part, pin)
    if answer.status == 206:
        if str(answer.headers.get("Content-Range")).startswith(f"bytes {have}-"):
            return answer
        answer.close()
        if not have:
            raise WrongFileError(f"{url} gives a part of the file, which was not asked for")
        _remove(part)  # another part than was asked for
        return _open(url, part, pin)
    _start(part, url, answer, pin)
    return answer


def _start(part: Path, url: str, answer: Any, pin: Pin) -> None:
    """Begin `part` anew; raise WrongFileError for an answer that cannot be the file, before it is read."""
    announced = answer.headers.get("Content-Length")
    page = str(answer.headers.get("Content-Type")).startswith("text/html")
    if page and not pin.checksum and not url.endswith((".html", ".htm")):
        raise WrongFileError(f"{url} gives a web page, not the file: it has moved, or asks for a login")
    if not page and pin.size and announced and int(announced) != pin.size:
        raise WrongFileError(f"{url} announces {int(announced):,} bytes, not the {pin.size:,} that the card pins")
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        _about(part).write_text(json.dumps({"url": url, "version": "" if version.startswith("W/") else version}))
    except OSError as error:
        raise _unwritable(part, error) from error
    free = shutil.disk_usage(part.parent).free
    if announced and int(announced) > free:
        raise MissingError(
            f"{part.name.removesuffix('.part')} takes {int(announced) / 1e9:.1f} GB, but {part.parent} has "
            f"{free / 1e9:.1f} GB free; make room or name another folder"
        )


def _origin(part: Path) -> tuple[str, str]:
    """Return the address that `part` is from, and the server's name for its version; "" where it gave none."""
    try:
        about = json.loads(_about(part).read_text())
        return str(about["url"]), str(about["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


def _store(answer: Any, part: Path, progress: Progress, label: str, pin: Pin) -> bool:
    """Append what the server sends, and return whether something was there before.

    Raises OSError where it ends before the length that it announced, WrongFileError where there is more than the file
    has, and MissingError where the disk is full; what arrived is kept.
    """
    have = _size(part)
    if answer.status == 416:
        return True
    announced = answer.headers.get("Content-Length")
    left = int(announced) if announced else max(0, pin.size - have)
    received = 0
    with _writing(part) as file, progress.track(f"downloading {label}", round(left / UNITS), "MB") as advance:
        shown = 0
        while chunk := answer.read1(CHUNK):
            received += len(chunk)
            if pin.size and have + received > pin.size:
                _remove(part)
                raise WrongFileError(f"{answer.url} gives more than the {pin.size:,} bytes that the card pins")
            _append(file, chunk, part)
            advance(int(received / UNITS) - shown)
            shown = int(received / UNITS)
        os.fsync(file.fileno())
    if announced and received < left:
        raise OSError(f"the connection broke after {received} of {left} bytes")
    return have > 0


def _writing(part: Path) -> IO[bytes]:
    try:
        return part.open("ab")
    except OSError as error:
        raise _unwritable(part, error) from error


def _append(file: IO[bytes], chunk: bytes, part: Path) -> None:
    """Write `chunk`; an error here is the disk's, not the network's."""
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            file.close()
        raise _unwritable(part, error) from error


def _unwritable(part: Path, error: OSError) -> MissingError:
    reason = error.strerror or error
    return MissingError(f"cannot write {part}: {reason}; what arrived is kept, and the same command goes on with it")

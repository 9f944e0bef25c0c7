"""Files that are whole or absent, digests that do not depend on luck, and locks that a killed process cannot hold."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ssl_bench.errors import MissingError

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Spare the search for cycles while much is read that holds none: it takes longer than the reading, four fifths of
    the time of a plan of 160,000 jobs."""
    usual = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if usual:
            gc.enable()


def canonical_json(value: Any) -> str:
    """Return `value` as JSON with sorted keys, no spaces and no NaN: equal values give equal text."""
    return _ENCODER.encode(value)


def digest_json(value: Any) -> str:
    """Return the sha256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def digest_file(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes, read once in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stat_key(path: Path) -> tuple[str, int, int]:
    """Return (name, bytes, modification time in ns): what stands for a file's content between two readings of it."""
    stat = path.stat()
    return path.name, stat.st_size, stat.st_mtime_ns


@contextlib.contextmanager
def atomic_write(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` that takes its place, synced to disk, when the block ends without error.

    The folder is synced as well: what was written is there after a loss of power.

    Raises MissingError where the folder cannot be made or written, or the disk is full; `path` is then as it was.
    """
    temporary = ""
    try:
        handle, temporary = _temporary(path.parent, f".{path.name[:40]}.")
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(_usual_mode())
        Path(temporary).replace(path)
        temporary = ""
        _sync_folder(path.parent)
    except OSError as error:
        raise MissingError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def _temporary(folder: Path, prefix: str) -> tuple[int, str]:
    """Return the handle and name of a new temporary file; a folder that another process just removed is made again."""
    for _ in range(100):
        try:
            _make_folder(folder)
            return tempfile.mkstemp(dir=folder, prefix=prefix, suffix=".tmp")
        except FileNotFoundError:
            continue
    raise FileNotFoundError(2, "the folder is removed as often as it is made", str(folder))


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents; each new one is synced into the folder that holds it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Have the disk keep a folder's names; where folders cannot be opened or synced (Windows), nothing is done."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _usual_mode() -> int:
    """Return the permissions of a file made the usual way; temporary files are made unreadable to others."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with atomic_write(path, "w") as file:
        file.write(text)


def create_file(path: Path, content: bytes) -> bool:
    """Write `content` to `path`, whole or not at all, unless a file is there; return whether this call made the file.

    Of several processes that create one path at once, exactly one gets True: a hard link appears with its content and
    never replaces a file. Where the file system knows no hard links, the file is looked for and then renamed to.
    Raises MissingError where the folder cannot be made or written, or the disk is full.
    """
    if path.exists():
        return False
    with contextlib.ExitStack() as stack:
        try:
            handle, temporary = _temporary(path.parent, ".")
            stack.callback(Path(temporary).unlink, missing_ok=True)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(_usual_mode())
            try:
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
            except OSError:
                if path.exists():
                    return False
                Path(temporary).replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise MissingError(f"cannot write {path}: {error.strerror or error}") from error
    return True


def check_writable(folder: Path, what: str) -> None:
    """Raise MissingError that names `what` unless a file can be made in `folder`: asked before hours of work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".write-", suffix=".tmp") as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise MissingError(f"cannot write {what} to {folder}: {error.strerror or error}") from error


@contextlib.contextmanager
def lock(path: Path, on_wait: Any = None) -> Iterator[None]:
    """Hold an advisory lock on `path`; call `on_wait()` once if another process holds it, then wait for it.

    The kernel frees the lock when its holder ends, however it ends. Where the file system knows no locks the block runs
    without one: what it guards is only work done twice, never a lost result.
    """
    try:
        import fcntl

        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except ImportError:
        yield
        return
    except OSError as error:
        raise MissingError(f"cannot write {path}: {error.strerror or error}") from error
    with file:
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait is not None:
                    on_wait()
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def megabytes(count: float) -> str:
    """Return a number of bytes for a reader, such as "346.3 MB"."""
    for size, unit in ((1e12, "TB"), (1e9, "GB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e6:.1f} MB"

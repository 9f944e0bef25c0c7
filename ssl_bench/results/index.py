"""The index: what all records under one root say, in SQLite. It is derived, and may be deleted at any time.

Each machine keeps its own, in the cache folder, so that it may lie on a network file system. A file is read again
only when its size or stamp changes, and a line is checked once, whichever file it lies in. An index that is damaged
is built anew, and code that reads records otherwise builds its own. Without a cache folder the index is in memory.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import platform
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ssl_bench.results import index_update, rebuild
from ssl_bench.results.index_schema import SCHEMA
from ssl_bench.results.reading import Skipped, where
from ssl_bench.results.record import Record
from ssl_bench.results.roots import File, Root
from ssl_bench.results.verifications import Verification, from_text

loads: Callable[[str], Any]
try:  # of the extra `fast`, in a third of the time; what the index holds is canonical, which both read alike
    from orjson import loads
except ImportError:
    from json import loads

Say = Callable[[str], None]

BATCH = 32_000_000
"""Bytes of records that are read, checked and committed at once."""
WORTH_SAYING = 8_000_000
"""Bytes of new records from which on the wait is announced."""
MONTH = 30 * 86_400.0
WAIT = 60.0
"""Seconds to wait for another process that writes the same index; then this one does without."""


def index_path(root: Root, cache: Path) -> Path:
    """Return where this machine keeps the index of a root."""
    place = root.place if "://" in root.place else str(Path(root.place).absolute())
    digest = hashlib.sha256(f"{platform.node()}\0{place}".encode("utf-8", "surrogatepass")).hexdigest()
    return cache / "results" / f"{digest[:24]}-{made_by()[:12]}.sqlite"


@functools.cache
def made_by() -> str:
    """Return a digest of the code that reads and checks records: what another release checked is checked again."""
    package = Path(__file__).parent
    sources = [*sorted(package.glob("*.py")), package.parent / "cards.py", package.parent / "files.py"]
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()


class Index:
    """The index of one root; `refresh` brings it up to date, and what is asked of it is as of then."""

    def __init__(self, root: Root, cache: Path | None = None, say: Say = lambda _: None) -> None:
        self.root = root
        self.say = say
        self.path = index_path(root, cache) if cache else None
        self._connection: sqlite3.Connection | None = None
        self._blocks: dict[str, tuple[str, Any]] = {}

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, opened when it is first needed; in memory where the cache folder cannot be written."""
        if self._connection is None:
            try:
                self._connection = _open(self.path)
            except (sqlite3.Error, OSError) as error:
                self._start_again(error)
        assert self._connection
        return self._connection

    def close(self) -> None:
        """Close the connection; it is opened again when it is needed."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._blocks = None, {}

    def _start_again(self, error: Exception) -> None:
        """Open an empty index: in place of a damaged one, or in memory where the trouble is another."""
        self.close()
        if self.path and "locked" not in str(error):
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(OSError):
                    self.path.with_name(self.path.name + suffix).unlink()
            with contextlib.suppress(sqlite3.Error, OSError):
                self._connection = _open(self.path)
        if self._connection is None:
            self._connection = _open(None)

    # ------------------------------------------------------------------ up to date

    def refresh(self) -> None:
        """Take in what changed under the root since; raise MissingError where the root cannot be listed."""
        listing = self.root.record_files()
        try:
            self._refresh(listing)
        except sqlite3.DatabaseError as error:
            self.say(f"the index of {self.root.place} cannot be used ({error}) and is built anew")
            self._start_again(error)
            self._refresh(listing)

    def _refresh(self, listing: dict[str, File]) -> None:
        known = {name: (size, stamp) for name, size, stamp in self.db.execute("SELECT name, size, stamp FROM files")}
        changed = [name for name, file in listing.items() if known.get(name) != (file.size, file.stamp)]
        total = sum(listing[name].size for name in changed)
        if total > WORTH_SAYING:
            self.say(f"indexing {len(changed)} files ({total / 1e6:.0f} MB) of {self.root.place}, once")
        for batch in _batches(self.root.read_all(changed)):
            with self._transaction():
                index_update.take(self.db, batch, listing, self.load)
        gone = [name for (name,) in self.db.execute("SELECT DISTINCT file FROM places") if name not in listing]
        if gone:
            with self._transaction():
                index_update.drop(self.db, gone, self.load)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.rollback()
            raise
        self.db.commit()

    # ------------------------------------------------------------------ asking

    def load(self, digests: Collection[str]) -> dict[str, Record]:
        """Return the records with these content digests."""
        query = f"{_BODY} WHERE content_digest = ?"
        found = (row for digest in digests for row in self.db.execute(query, (digest,)))
        return {record.content_digest: record for record in self._records(found)}

    def standing(self) -> list[Record]:
        """Return the record that stands for each job, sorted by model, task, protocol and seed."""
        order = "ORDER BY model, task, protocol, seed, record_id"
        return list(self._records(self.db.execute(f"{_BODY} WHERE status = 'standing' {order}")))

    def _records(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Record]:
        known = self._blocks
        for digest, record_id, question, blocks, rest, written in rows:
            parts = dict(known[part] if part in known else self._block(part) for part in blocks.split())
            stated = {"content_digest": digest, "record_id": record_id, "question": question}
            yield rebuild.record(parts, loads(rest), stated, written)

    def _block(self, part: str) -> tuple[str, Any]:
        """Return field and block of a part such as "model=3"; equal blocks of many records are one object."""
        key, _, number = part.partition("=")
        (text,) = self.db.execute("SELECT text FROM blocks WHERE id = ?", (int(number),)).fetchone()
        self._blocks[part] = key, rebuild.block(key, loads(text))
        return self._blocks[part]

    def skipped(self) -> list[Skipped]:
        """Return what could not be read, packed files first."""
        found = self.db.execute("SELECT file, line, reason FROM places WHERE holds = 'skipped'")
        return [Skipped(where(name, line), why) for name, line, why in index_update.skipped_in_order(found)]

    def verifications(self) -> list[Verification]:
        """Return what was found of records by those who checked them, oldest first."""
        found = self.db.execute("SELECT DISTINCT created, text FROM verification_texts ORDER BY created, text")
        return [from_text(text) for _, text in found]

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a query of our own finds; `query.ask` is for those of others."""
        return self.db.execute(query, values).fetchall()


_BODY = (
    "SELECT content_digest, record_id, question, blocks, rest, written FROM records JOIN bodies USING (content_digest)"
)


def _remove_old(folder: Path) -> None:
    """Remove indexes that nobody has written for a month: of roots that are gone, or made by other code."""
    for path in folder.glob("*.sqlite*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - MONTH:
                path.unlink()


def _batches(contents: Iterable[tuple[str, bytes | OSError]]) -> Iterator[list[tuple[str, bytes | OSError]]]:
    """Give the files in portions of some megabytes."""
    batch: list[tuple[str, bytes | OSError]] = []
    size = 0
    for name, content in contents:
        batch.append((name, content))
        size += len(content) if isinstance(content, bytes) else 0
        if size > BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _open(path: Path | None) -> sqlite3.Connection:
    """Return a connection to an index, made where there is none; raise sqlite3.Error or OSError."""
    if path and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_old(path.parent)
    db = sqlite3.connect(path or ":memory:", timeout=WAIT, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -65536")
        if not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
            db.execute("BEGIN IMMEDIATE")
            if not db.execute("SELECT 1 FROM sqlite_schema").fetchone():
                for statement in SCHEMA.split(";"):
                    db.execute(statement)
            db.commit()
    except BaseException:
        db.close()
        raise
    return db

"""Taking files into the index and out of it. Every function here works inside a transaction of its caller."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from ssl_bench.results import index_rows
from ssl_bench.results.index_rows import Row
from ssl_bench.results.index_schema import METRICS, PLACES, RECORDS, VERIFICATIONS, WITHDRAWALS, Columns
from ssl_bench.results.reading import lines, reason_of, where
from ssl_bench.results.record import Record
from ssl_bench.results.roots import File

Load = Callable[[Collection[str]], Mapping[str, Record]]
"""From content digests to records."""


def take(
    db: sqlite3.Connection, batch: Sequence[tuple[str, bytes | OSError]], listing: Mapping[str, File], load: Load
) -> None:
    """Replace what is known of some files by what they hold now; no line is checked a second time."""
    found = [
        (name, line, hashlib.sha256(part.strip()).digest(), part)
        for name, content in batch
        if isinstance(content, bytes)
        for line, part in lines(name, content)
    ]
    known = _known(db, (sha for _, _, sha, _ in found))
    new = {sha: (part, where(name, line)) for name, line, sha, part in found if sha not in known}
    rows = dict(zip(new, index_rows.rows(list(new.values())), strict=True))
    before = _forget(db, [name for name, _ in batch])
    places = [_place(name, line, sha, rows.get(sha), known.get(sha, "")) for name, line, sha, _ in found]
    for name, content in batch:
        if isinstance(content, OSError) and not isinstance(
            content, FileNotFoundError
        ):  # else removed since the listing
            places.append((name, 0, b"", "skipped", "", reason_of(content, name)))
    _insert(db, "places", PLACES, places)
    _add_records(db, [row for row in rows.values() if row[0] == "record"])
    _insert(
        db,
        "withdrawals",
        WITHDRAWALS,
        [
            _withdrawal(name, line, rows[sha])
            for name, line, sha, _ in found
            if sha in rows and rows[sha][0] == "withdrawal"
        ],
    )
    for name, line, sha, _ in found:
        if sha in rows and rows[sha][0] == "verification":
            _add_verification(db, name, line, rows[sha][1])
    stats = [(name, listing[name].size, listing[name].stamp) for name, content in batch if isinstance(content, bytes)]
    db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", stats)
    _settle(db, _remove_orphans(db, before) | {str(place[4]) for place in places}, load)


def drop(db: sqlite3.Connection, names: Iterable[str], load: Load) -> None:
    """Forget files that are gone."""
    _settle(db, _remove_orphans(db, _forget(db, names)), load)


def _known(db: sqlite3.Connection, shas: Iterable[bytes]) -> dict[bytes, str]:
    """Return the content digests of lines that were checked before and are records."""
    query = "SELECT content_digest FROM places WHERE sha = ? AND holds = 'record' LIMIT 1"
    found = ((sha, db.execute(query, (sha,)).fetchone()) for sha in set(shas))
    return {sha: row[0] for sha, row in found if row}


def _place(name: str, line: int, sha: bytes, row: Row | None, digest: str) -> tuple[object, ...]:
    """Return the line of `places` for what was checked now (`row`) or before (its record's `digest`)."""
    if row is None:
        return name, line, sha, "record", digest, ""
    if row[0] == "record":
        return name, line, sha, "record", row[1][1], ""
    if row[0] in ("withdrawal", "verification"):
        return name, line, sha, row[0], row[1]["content_digest"], ""
    return name, line, sha, "skipped", "", row[1]


def _withdrawal(name: str, line: int, row: Row) -> tuple[object, ...]:
    said = row[1]
    return name, line, said["record_id"], said["content_digest"], said["reason"], said["created"]


def _add_verification(db: sqlite3.Connection, name: str, line: int, said: Mapping[str, Any]) -> None:
    values = dict(said) | {"file": name, "line": line, "verification": said["content_digest"]}
    each = (values | {"content_digest": digest} for digest in said["records"])
    _insert(db, "verifications", VERIFICATIONS, [tuple(row[column] for column, _, _ in VERIFICATIONS) for row in each])
    row = (name, line, said["created"], said["text"])
    db.execute("INSERT OR REPLACE INTO verification_texts VALUES (?, ?, ?, ?)", row)


def _insert(db: sqlite3.Connection, table: str, columns: Columns, rows: Sequence[Sequence[object]]) -> None:
    db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)


def _add_records(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    _insert(db, "records", RECORDS, [columns for _, columns, *_ in rows])
    db.executemany("DELETE FROM metrics WHERE content_digest = ?", [(columns[1],) for _, columns, *_ in rows])
    _insert(db, "metrics", METRICS, [metric for _, _, metrics, *_ in rows for metric in metrics])
    texts = {text for _, _, _, blocks, *_ in rows for text in blocks.values()}
    ids = {text: _block(db, text) for text in texts}
    bodies = [
        (columns[1], " ".join(f"{key}={ids[text]}" for key, text in blocks.items()), rest, written)
        for _, columns, _, blocks, rest, written in rows
    ]
    db.executemany("INSERT OR REPLACE INTO bodies VALUES (?, ?, ?, ?)", bodies)


def _block(db: sqlite3.Connection, text: str) -> int:
    """Return the number under which a block is kept, once."""
    sha = hashlib.sha256(text.encode()).digest()
    held = db.execute("SELECT id FROM blocks WHERE sha = ?", (sha,)).fetchone()
    if held:
        return int(held[0])
    return int(db.execute("INSERT INTO blocks (sha, text) VALUES (?, ?)", (sha, text)).lastrowid or 0)


def _forget(db: sqlite3.Connection, names: Iterable[str]) -> set[str]:
    """Remove files, keep the records that were in them, and return those records' digests."""
    digests = set()
    for name in names:
        digests |= {digest for (digest,) in db.execute("SELECT content_digest FROM places WHERE file = ?", (name,))}
        for table, column in (
            ("places", "file"),
            ("withdrawals", "file"),
            ("verifications", "file"),
            ("files", "name"),
        ):
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (name,))
    return digests


def _remove_orphans(db: sqlite3.Connection, digests: set[str]) -> set[str]:
    """Remove the records that lie nowhere any more, and return the digests of all that may stand otherwise by it."""
    touched = set(digests)
    for digest in digests:
        if db.execute("SELECT 1 FROM places WHERE content_digest = ? AND holds = 'record'", (digest,)).fetchone():
            continue
        others = "SELECT b.content_digest FROM records a JOIN records b USING (record_id) WHERE a.content_digest = ?"
        touched |= {other for (other,) in db.execute(others, (digest,))}
        for table in ("records", "metrics", "bodies"):
            db.execute(f"DELETE FROM {table} WHERE content_digest = ?", (digest,))
    return touched


def _settle(db: sqlite3.Connection, digests: set[str], load: Load) -> None:
    """Say anew which records stand for their jobs, for all jobs that have one of these records."""
    query = "SELECT record_id FROM records WHERE content_digest = ?"
    jobs = {row[0] for digest in digests for row in db.execute(query, (digest,))}
    for job in jobs:
        found = db.execute("SELECT content_digest, created FROM records WHERE record_id = ?", (job,)).fetchall()
        query = "SELECT content_digest, reason FROM withdrawals WHERE record_id = ? ORDER BY created DESC"
        reasons = dict(db.execute(query, (job,)).fetchall())
        if len(found) == 1 and not reasons:
            db.execute("UPDATE records SET status = 'standing', drift = 0, reason = '' WHERE record_id = ?", (job,))
            continue
        kept = sorted((created, digest) for digest, created in found if digest not in reasons)
        statuses = {digest: "withdrawn" for digest, _ in found} | _statuses([digest for _, digest in kept], load)
        drift = int("drift" in statuses.values())
        update = "UPDATE records SET status = ?, drift = ?, reason = ? WHERE content_digest = ?"
        db.executemany(update, [(status, drift, reasons.get(key, ""), key) for key, status in statuses.items()])


def _statuses(digests: Sequence[str], load: Load) -> dict[str, str]:
    """Return what each of a job's records, given oldest first, is to the first."""
    if len(digests) < 2:
        return dict.fromkeys(digests, "standing")
    records = load(digests)
    first = records[digests[0]]
    statuses = {digest: "repeat" if records[digest].agrees(first) else "drift" for digest in digests[1:]}
    return {digests[0]: "standing"} | statuses


def skipped_in_order(found: Iterable[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Return (file, line, reason) as a listing goes: packed files first."""
    by_kind: dict[bool, list[tuple[str, int, str]]] = defaultdict(list)
    for item in found:
        by_kind["/" in item[0]].append(item)
    return sorted(by_kind[False]) + sorted(by_kind[True])

"""What a writer knows of a root: where records of a job may lie, by the first digits of its id.

Listed once and then kept up by what this process writes. Only a record that is asked for is read and checked, so that
one of many writers in a large store does no more work than its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ssl_bench.errors import MissingError
from ssl_bench.results.layout import DIGEST16, ID8, VERIFICATIONS, age, id8_of
from ssl_bench.results.reading import Entry, ids, lines, try_entry, where
from ssl_bench.results.record import Record
from ssl_bench.results.roots import PACKED, Root
from ssl_bench.results.verifications import Verification
from ssl_bench.results.withdrawals import Withdrawal

Job = Record | Withdrawal
"""What speaks of one job."""
_VERIFICATION = b'"ssl-bench.verification/'


class Known:
    """The entries of a root, found by the beginnings of record ids."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._loose: dict[str, dict[str, None]] = defaultdict(dict)
        """First digits to names, in order."""
        self._packed: dict[str, dict[str, list[tuple[int, bytes]]]] = {}
        """Packed file to first digits to (line number, line)."""
        self.verified: set[str] = set()
        """First digits of the content digests of the verifications here."""
        self._stamps: dict[str, str] = {}
        self._read: dict[str, Entry] = {}
        for name, file in root.record_files().items():
            if name.endswith(PACKED):
                self._read_packed(name, file.stamp)
            else:
                self.add(name)

    def add(self, name: str) -> None:
        """Note a loose file; its name tells the first digits of its record's id, or a verification's own."""
        if f"/{VERIFICATIONS}/" in name:
            self.verified.add(name.removesuffix(".json").rpartition("-")[2])
        else:
            self._loose[id8_of(name)][name] = None

    def remove(self, name: str) -> None:
        """Forget a loose file."""
        self._loose[id8_of(name)].pop(name, None)

    def _read_packed(self, name: str, stamp: str) -> None:
        found: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        for number, line in lines(name, _content(self._root, name)):
            if _VERIFICATION in line and isinstance(entry := try_entry(line, where(name, number)), Verification):
                self.verified.add(entry.content_digest[:DIGEST16])
            for record_id in dict.fromkeys(ids(line)):
                found[record_id[:ID8]].append((number, line))
        self._packed[name], self._stamps[name] = found, stamp

    def look_again(self, packed: str, loose: str = "") -> bool:
        """Take in what other processes did to a model's packed file, and the loose files that begin with `loose`.

        Returns whether the packed file has changed.
        """
        for name in self._root.beginning(loose) if loose else ():
            if name.endswith(".json"):
                self.add(name)
        stamp = self._root.stamp(packed)
        if stamp == self._stamps.get(packed, ""):
            return False
        self._read_packed(packed, stamp)
        return True

    def entries(self, prefix: str) -> Iterator[tuple[str, Job]]:
        """Give the readable records and withdrawals whose record id begins with `prefix`, each with its place."""
        short = prefix[:ID8]
        for name, held in self._packed.items():
            keys = [short] if len(short) == ID8 else [key for key in held if key.startswith(short)]
            for number, line in (item for key in keys for item in held.get(key, ())):
                entry = try_entry(line, where(name, number))
                if entry and not isinstance(entry, Verification) and entry.record_id.startswith(prefix):
                    yield name, entry
        keys = [short] if len(short) == ID8 else [key for key in self._loose if key.startswith(short)]
        for name in [name for key in keys for name in self._loose.get(key, ())]:
            entry = self._read.get(name) or try_entry(_content(self._root, name), name)
            if entry and not isinstance(entry, Verification) and entry.record_id.startswith(prefix):
                self._read[name] = entry
                yield name, entry

    def job(self, record_id: str) -> tuple[list[tuple[str, Record]], dict[str, str]]:
        """Return a job's records with their places, oldest first, and content digest to reason of those withdrawn."""
        found, reasons = [], {}
        for name, entry in self.entries(record_id):
            if entry.record_id == record_id:
                if isinstance(entry, Record):
                    found.append((name, entry))
                else:
                    reasons[entry.content_digest] = entry.reason
        return sorted(found, key=lambda pair: age(pair[1])), reasons


def _content(root: Root, name: str) -> bytes:
    """Return a file's content, or nothing where it cannot be read: `records()` lists it then."""
    try:
        return root.read(name)
    except (OSError, MissingError):
        return b""

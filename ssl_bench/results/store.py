"""The records under one root: loose while they are measured, packed when they are published.

```
<root>/<model>/<task>/<protocol>-<id8>.json     one immutable record per job
<root>/<model>/verifications~/<level>-….json    what others found of the model's records
<root>/<model>.jsonl                            the same records packed: one canonical line each, sorted
<root>/samples/<aa>/<sha256>.parquet            per-sample predictions
```
The root is a folder or `s3://bucket/prefix`. Any number of processes on any number of machines may write at once: a
record's file appears whole and never replaces another. A reader takes loose and packed records alike, through an index
that is only a memory of them; what it cannot read it lists, with the reason.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ssl_bench.errors import UsageError
from ssl_bench.results import layout, listing, packing
from ssl_bench.results import samples as sample_files
from ssl_bench.results.index import Index, Say
from ssl_bench.results.known import Known
from ssl_bench.results.layout import DIGEST16, age, loose_name, packed_name, replicate_name, withdrawal_name
from ssl_bench.results.listing import Row
from ssl_bench.results.reading import Entry, Skipped
from ssl_bench.results.record import Record, Samples
from ssl_bench.results.roots import FolderRoot, Root, open_root
from ssl_bench.results.samples import Table
from ssl_bench.results.verifications import Verification
from ssl_bench.results.withdrawals import Withdrawal, withdrawal_of


@dataclasses.dataclass(frozen=True)
class Put:
    """What became of a record that was put."""

    outcome: Literal["stored", "present", "drift"]
    """"present": the same job with the same numbers was there; "drift": with other numbers, and both are kept."""
    name: str
    """Where the record, or the one that it repeats, lies under the root."""
    other: Record | None = None
    """The record that was there, for "present" and "drift"."""


class Results:
    """The records under one root. The place need not exist before the first `put`.

    `cache` is the folder in which an index of the records is kept; without one, every reading object checks all of
    them anew. `say` hears of long work. Raises UsageError for a root of an unknown kind.
    """

    def __init__(self, root: str | Path | Root, cache: Path | None = None, say: Say = lambda _: None) -> None:
        self.files = open_root(root)
        self.root: Path | str = Path(self.files.place) if isinstance(self.files, FolderRoot) else self.files.place
        """Where the records lie, for people."""
        self.index = Index(self.files, cache, say)
        self.skipped: list[Skipped] = []
        """What the latest `records()` or `pack()` could not read."""
        self.drift: dict[str, tuple[Record, ...]] = {}
        """Record id to its records with unequal numbers, oldest first, as the latest `records()` found them."""
        self.withdrawn: list[tuple[Record, str]] = []
        """Withdrawn records with the reasons, as the latest `records()` found them."""
        self._known: Known | None = None
        self._samples: frozenset[str] | None = None

    def check_writable(self) -> None:
        """Raise MissingError unless a file can be made under the root: asked before hours of work, not after."""
        self.files.check_writable()

    # ------------------------------------------------------------------ writing

    def put(self, record: Record) -> Put:
        """Keep a record. Nothing is ever overwritten: a job that gives other numbers than before is kept beside them.

        Raises MissingError where the root cannot be written or the disk is full, UsageError where the record says other
        than its per-sample predictions.
        """
        self.verify(record)
        known = self._writers()
        packed, usual = packed_name(record.model.name), loose_name(record)
        known.look_again(packed, "" if self.files.exclusive else usual.removesuffix(".json"))
        if not self._standing(record.record_id) and self._create_first(record, usual):
            # A packer that took the same job in meanwhile has removed the file that would have stopped us.
            earlier = self._standing(record.record_id) if known.look_again(packed) else []
            if agreeing := [(name, held) for name, held in earlier if held.agrees(record) and held != record]:
                self._remove(usual)
                return Put("present", *agreeing[0])
            return Put("stored", usual)
        known.add(usual)
        known.look_again(packed, usual.removesuffix(".json"))  # of runs beside this one
        for name, held in known.job(record.record_id)[0]:
            if held.content_digest == record.content_digest:  # which a withdrawal may have taken back
                return Put("present", name, held)
        earlier = self._standing(record.record_id)
        for name, held in earlier:
            if held.agrees(record):
                return Put("present", name, held)
        name = replicate_name(record)
        self._create(name, record)
        return Put("drift", name, earlier[0][1]) if earlier else Put("stored", name)

    def _create_first(self, record: Record, usual: str) -> bool:
        """Create the first record of a job at its usual place; False where a file is there."""
        return self.files.exclusive and self._create(usual, record)

    def _create(self, name: str, entry: Entry) -> bool:
        made = self.files.create(name, f"{entry.to_text()}\n".encode())
        self._writers().add(name)
        return made

    def _remove(self, name: str) -> None:
        self.files.remove(name)
        self._writers().remove(name)

    def withdraw(self, prefix: str, reason: str) -> list[Withdrawal]:
        """Take the records of a job back, or one record by its content digest, and say why; they stay readable.

        Returns what was withdrawn now. Raises UsageError where none or more than one job matches, or for no reason.
        """
        self.check_writable()
        made = []
        for record in self.find(prefix):
            if record.content_digest not in self._writers().job(record.record_id)[1]:
                withdrawal = withdrawal_of(record, reason)
                self._create(withdrawal_name(withdrawal), withdrawal)
                made.append(withdrawal)
        return made

    def put_withdrawal(self, withdrawal: Withdrawal) -> bool:
        """Keep a withdrawal that was made elsewhere, and return whether it is new here."""
        if withdrawal.content_digest in self._writers().job(withdrawal.record_id)[1]:
            return False
        return self._create(withdrawal_name(withdrawal), withdrawal)

    def put_verification(self, verification: Verification) -> bool:
        """Keep what was found of some records, and return whether it is new here."""
        if verification.content_digest[:DIGEST16] in self._writers().verified:
            return False
        return self._create(layout.verification_name(verification), verification)

    def put_samples(self, table: Table) -> Samples:
        """Keep per-sample predictions and return what a record says of them; see `samples.write`."""
        return sample_files.write(self.files, table)

    def read_samples(self, record: Record) -> Table:
        """Return a record's per-sample predictions; see `samples.read`.

        Raises UsageError, too, where the record's numbers are not theirs.
        """
        from ssl_bench.results import rescore  # NumPy, which the reading commands do without

        table = sample_files.read(self.files, record.samples)
        rescore.check(record, table)
        return table

    def verify(self, record: Record) -> None:
        """Raise UsageError where a record says other than its per-sample predictions; without them nothing is said."""
        if self.files.stamp(sample_files.sample_name(record.samples.sha256)):
            self.read_samples(record)

    # ------------------------------------------------------------------ reading

    def has(self, record_id: str) -> bool:
        """Return whether a readable record stands for this job, as this object knows the place; see `refresh`."""
        return bool(self._standing(record_id))

    def get(self, prefix: str) -> Record:
        """Return the record whose id begins with `prefix`; of several with one id, the oldest that was not withdrawn.

        Raises UsageError where none or more than one job matches, or the record says other than its predictions.
        """
        found = self.find(prefix)
        standing = self._standing(found[0].record_id)
        record = standing[0][1] if standing and standing[0][1] in found else found[0]
        self.verify(record)
        return record

    def find(self, prefix: str) -> list[Record]:
        """Return every record of the one job whose id begins with `prefix`, oldest first, withdrawn ones too; or the
        one record whose content digest does, if no job's id does.

        Raises UsageError where none or more than one job matches.
        """
        prefix = prefix.lower()
        if not prefix:
            raise UsageError("the record id is empty; `ssl-bench results ls` lists the records")
        found = {entry.record_id for _, entry in self._writers().entries(prefix) if isinstance(entry, Record)}
        if len(found) > 1:
            ids = ", ".join(record_id[:16] for record_id in sorted(found)[:5])
            raise UsageError(f"{prefix!r} begins the ids of {len(found)} records: {ids}; write more of it")
        if found:
            records = {record.content_digest: record for _, record in self._writers().job(found.pop())[0]}
            return sorted(records.values(), key=age)
        self.index.refresh()
        digests = self.index.rows(
            "SELECT content_digest FROM records WHERE substr(content_digest, 1, ?) = ?", (len(prefix), prefix)
        )
        if len(digests) == 1:
            return list(self.index.load(digests[0]).values())
        raise UsageError(
            f"no record under {self.root} has an id that begins with {prefix!r}. "
            "`ssl-bench results ls` lists the records"
        )

    def runs(self, record_id: str) -> list[tuple[Record, str, str]]:
        """Return every record of a job, oldest first, with its status in the index and why it was withdrawn."""
        self.index.refresh()
        found = self.index.rows("SELECT content_digest, status, reason FROM records WHERE record_id = ?", (record_id,))
        records = self.index.load([digest for digest, *_ in found])
        return sorted(((records[digest], status, why) for digest, status, why in found), key=lambda run: age(run[0]))

    def records(self) -> list[Record]:
        """Return one record per job, sorted by model, task, protocol and seed, as they are on the disk now.

        Where a job has several records, the oldest stands for it; those with other numbers are in `drift`. Withdrawn
        records are in `withdrawn`, and stand for nothing.
        """
        self.index.refresh()
        self.skipped = self.index.skipped()
        found = self.index.rows("SELECT content_digest, reason FROM records WHERE status = 'withdrawn'")
        withdrawn = self.index.load([digest for digest, _ in found])
        self.withdrawn = [(withdrawn[digest], reason) for digest, reason in found]
        self.drift = self._drift()
        self._samples = None
        return self.index.standing()

    def samples(self) -> frozenset[str]:
        """Return the sha256 of the per-sample predictions that lie here, listed once after the latest `records()`."""
        if self._samples is None:
            self._samples = frozenset(map(sample_files.sha256_of, self.files.sample_files()))
        return self._samples

    def verifications(self) -> list[Verification]:
        """Return what was found of records by those who checked them, oldest first; `standing` reads them."""
        self.index.refresh()
        return self.index.verifications()

    def table_rows(self, pattern: str = "*") -> list[Row]:
        """Return a line per job and per withdrawn record; `pattern` is a glob over model, task or protocol."""
        self.index.refresh()
        self.skipped = self.index.skipped()
        return listing.rows(self.index, pattern)

    def _drift(self) -> dict[str, tuple[Record, ...]]:
        """Return the oldest record of every set of numbers of the jobs that have several."""
        query = "SELECT content_digest FROM records WHERE drift AND status IN ('standing', 'drift')"
        records = self.index.load([digest for (digest,) in self.index.rows(query)])
        distinct: dict[str, list[Record]] = {}
        for record in sorted(records.values(), key=age):
            held = distinct.setdefault(record.record_id, [])
            if not any(record.agrees(other) for other in held):
                held.append(record)
        return {record_id: tuple(held) for record_id, held in sorted(distinct.items())}

    def refresh(self) -> None:
        """Forget what is known of the place, so that what other processes wrote since is seen by `has` and `get`."""
        self._known = None

    # ------------------------------------------------------------------ packing

    def pack(self) -> list[str]:
        """Move loose records into `<model>.jsonl` and return the packed files that changed; see `packing.pack`.

        The same records give the same bytes. Loose files that cannot be read stay where they are, in `skipped`.
        """
        self.check_writable()
        self.skipped = []
        try:
            return packing.pack(self.files, self.skipped)
        finally:
            self.refresh()

    def unpack(self) -> list[str]:
        """Move packed records into loose files and return those files; see `packing.unpack`."""
        self.check_writable()
        try:
            return packing.unpack(self.files, self.verify)
        finally:
            self.refresh()

    # ------------------------------------------------------------------ inside

    def _writers(self) -> Known:
        if self._known is None:
            self._known = Known(self.files)
        return self._known

    def _standing(self, record_id: str) -> list[tuple[str, Record]]:
        """Return every readable record of a job that was not withdrawn, oldest first, with its place."""
        found, withdrawn = self._writers().job(record_id)
        return [(name, record) for name, record in found if record.content_digest not in withdrawn]


def digest_of(records: Iterable[Record]) -> str:
    """Return the sha256 over a set of records, whatever their order: what a board or a comparison was made from."""
    digests = sorted(record.content_digest for record in records)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()

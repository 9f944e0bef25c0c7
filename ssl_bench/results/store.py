"""The records under one root: loose while they are measured, packed when they are published.

```
<root>/<model>/<task>/<protocol>-<id8>.json     one immutable record per job
<root>/<model>.jsonl                            the same records packed: one canonical line each, sorted
<root>/samples/<aa>/<sha256>.parquet            per-sample predictions
```
Any number of processes may write at once: a record's file appears whole and never replaces another. A reader takes
loose and packed records alike; what it cannot read it lists, with the reason.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from ssl_bench.errors import MissingError, SslBenchError, UsageError
from ssl_bench.files import check_writable, create_file, lock, write_text
from ssl_bench.results import rescore
from ssl_bench.results import samples as sample_files
from ssl_bench.results.record import Record, Samples, parse
from ssl_bench.results.samples import Table
from ssl_bench.results.slugs import slug

ID8 = 8
"""Hex digits of the record id in a loose record's file name."""


@dataclasses.dataclass(frozen=True)
class Put:
    """What became of a record that was put."""

    outcome: Literal["stored", "present", "drift"]
    """"present": the same job with the same numbers was there; "drift": with other numbers, and both are kept."""
    path: Path
    """Where the record, or the one that it repeats, lies."""
    other: Record | None = None
    """The record that was there, for "present" and "drift"."""


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A file, or a line of a packed file, that could not be read as a record."""

    where: str
    """File, and line of a packed file, from the root on: it may be published, so it tells nothing of the machine."""
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


def _skip(root: Path, where: str, error: SslBenchError) -> Skipped:
    """Return the entry for what could not be read at `where`, a path that may end in ":line"."""
    inside = str(Path(where).relative_to(root))
    reason = str(error).removeprefix(f"cannot read {where}: ").removeprefix(f"{where}: ")
    return Skipped(inside, reason)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of `results ls`."""

    record_id: str
    model: str
    task: str
    protocol: str
    seed: int
    metric: str
    unit: str
    value: float
    low: float | None
    high: float | None
    n: int
    created: str
    note: str
    """"truncated" or "drift", where that is so."""


def age(record: Record) -> tuple[str, str]:
    """Return the order of records of one job: the oldest stands for the job, the others are its repeats."""
    return record.created, record.content_digest


def place(record: Record) -> tuple[str, str, str, int, str, str, str]:
    """Return the order in which records are listed and packed."""
    job = (record.model.name, record.task.name, record.protocol.name, record.seed)
    return (*job, record.record_id, *age(record))


def loose_path(record: Record) -> Path:
    """Return a record's path under the root."""
    folder = Path(slug(record.model.name)) / slug(record.task.name)
    return folder / f"{slug(record.protocol.name)}-{record.record_id[:ID8]}.json"


def replicate_path(record: Record) -> Path:
    """Return the path of a record whose usual place is taken by another record: named by its content."""
    usual = loose_path(record)
    return usual.with_name(f"{usual.stem}.{record.content_digest[:16]}.json")


class Results:
    """The records under one root. The folder need not exist before the first `put`."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.skipped: list[Skipped] = []
        """What the latest `records()` could not read."""
        self.drift: dict[str, tuple[Record, ...]] = {}
        """Record id to its records with unequal numbers, oldest first, as the latest `records()` found them."""
        self._index: _Index | None = None

    def check_writable(self) -> None:
        """Raise MissingError unless a file can be made under the root: asked before hours of work, not after."""
        check_writable(self.root, "results")

    # ------------------------------------------------------------------ writing

    def put(self, record: Record) -> Put:
        """Keep a record. Nothing is ever overwritten: a job that gives other numbers than before is kept beside them.

        Raises MissingError where the root cannot be written or the disk is full, UsageError where the record says other
        than its per-sample predictions.
        """
        self.verify(record)
        earlier = self._find(record.record_id)
        path, content = self.root / loose_path(record), f"{record.to_text()}\n".encode()
        if not earlier and create_file(path, content):
            self._indexed().add(path)
            return Put("stored", path)
        if not earlier and (held := _try_read(path)) and held.record_id == record.record_id:
            earlier = [(path, held)]  # another process was faster
        for where, other in earlier:
            if other.agrees(record):
                return Put("present", where, other)
        path = self.root / replicate_path(record)
        create_file(path, content)
        self._indexed().add(path)
        return Put("drift", path, earlier[0][1]) if earlier else Put("stored", path)

    def put_samples(self, table: Table) -> Samples:
        """Keep per-sample predictions and return what a record says of them; see `samples.write`."""
        return sample_files.write(self.root, table)

    def read_samples(self, record: Record) -> Table:
        """Return a record's per-sample predictions; see `samples.read`.

        Raises UsageError, too, where the record's numbers are not theirs.
        """
        table = sample_files.read(self.root, record.samples)
        rescore.check(record, table)
        return table

    def verify(self, record: Record) -> None:
        """Raise UsageError where a record says other than its per-sample predictions; without them nothing is said."""
        with contextlib.suppress(MissingError):
            self.read_samples(record)

    # ------------------------------------------------------------------ reading

    def has(self, record_id: str) -> bool:
        """Return whether a readable record of this job is here, as this object knows the folder; see `refresh`."""
        return bool(self._find(record_id))

    def get(self, prefix: str) -> Record:
        """Return the record whose id begins with `prefix`; of several with one id, the oldest.

        Raises UsageError where none or more than one job matches, or the record says other than its predictions.
        """
        prefix = prefix.lower()
        if not prefix:
            raise UsageError("the record id is empty; `ssl-bench results ls` lists the records")
        by_id: dict[str, list[Record]] = defaultdict(list)
        for _, record in self._indexed().matching(prefix):
            by_id[record.record_id].append(record)
        if not by_id:
            raise UsageError(
                f"no record under {self.root} has an id that begins with {prefix!r}. "
                "`ssl-bench results ls` lists the records"
            )
        if len(by_id) > 1:
            ids = ", ".join(record_id[:16] for record_id in sorted(by_id)[:5])
            raise UsageError(f"{prefix!r} begins the ids of {len(by_id)} records: {ids}; write more of it")
        record = min(next(iter(by_id.values())), key=age)
        self.verify(record)
        return record

    def records(self) -> list[Record]:
        """Return one record per job, sorted by model, task, protocol and seed; read anew from the disk.

        Where a job has several records, the oldest stands for it; those with other numbers are in `drift`.
        """
        self.skipped, self.drift = [], {}
        by_id: dict[str, dict[str, Record]] = defaultdict(dict)
        for _, record in self._read_all(self.skipped):
            by_id[record.record_id][record.content_digest] = record
        for record_id, found in by_id.items():
            if len(found) > 1 and (spread := _with_other_numbers(found.values())):
                self.drift[record_id] = spread
        return sorted((min(found.values(), key=age) for found in by_id.values()), key=place)

    def table_rows(self) -> list[Row]:
        """Return one row per job, in the order of `records()`."""
        return [_row(record, record.record_id in self.drift) for record in self.records()]

    def refresh(self) -> None:
        """Forget what is known of the folder, so that what other processes wrote since is seen by `has` and `get`."""
        self._index = None

    # ------------------------------------------------------------------ packing

    def pack(self) -> list[Path]:
        """Move loose records into `<model>.jsonl` and return the packed files that changed.

        The same records give the same bytes. Loose files that cannot be read stay where they are, in `skipped`.
        Raises UsageError where a packed file holds a broken line, which packing would otherwise lose.
        """
        self.check_writable()
        self.skipped = []
        with lock(self.root / ".lock"):
            loose: dict[str, list[tuple[Path, Record]]] = defaultdict(list)
            for path, record in _read_loose(self.root, self.skipped):
                loose[slug(record.model.name)].append((path, record))
            written = [self._pack_model(name, found) for name, found in sorted(loose.items())]
        self.refresh()
        return written

    def _pack_model(self, name: str, found: list[tuple[Path, Record]]) -> Path:
        path = self.root / f"{name}.jsonl"
        broken: list[Skipped] = []
        packed = [record for _, record in _read_packed(path, broken)] if path.exists() else []
        if broken:
            raise UsageError(f"{self.root}/{broken[0]}; mend or delete that line before packing")
        unique = {record.content_digest: record for record in (*packed, *(record for _, record in found))}
        write_text(path, "".join(f"{record.to_text()}\n" for record in sorted(unique.values(), key=place)))
        for loose, _ in found:
            loose.unlink(missing_ok=True)
        _remove_empty(self.root / name)
        return path

    def unpack(self) -> list[Path]:
        """Move packed records into loose files and return those files; the inverse of `pack`.

        Raises UsageError where a packed file holds a broken line; that file then stays packed.
        """
        self.check_writable()
        written: list[Path] = []
        with lock(self.root / ".lock"):
            for path in sorted(self.root.glob("*.jsonl")):
                broken: list[Skipped] = []
                records = [record for _, record in _read_packed(path, broken)]
                if broken:
                    raise UsageError(f"{self.root}/{broken[0]}; mend or delete that line before unpacking")
                for record in records:
                    self.verify(record)
                written += [_write_loose(self.root, record) for record in sorted(records, key=age)]
                path.unlink()
        self.refresh()
        return written

    # ------------------------------------------------------------------ inside

    def _read_all(self, skipped: list[Skipped]) -> Iterator[tuple[Path, Record]]:
        for path in sorted(self.root.glob("*.jsonl")):
            yield from _read_packed(path, skipped)
        yield from _read_loose(self.root, skipped)

    def _indexed(self) -> _Index:
        if self._index is None:
            self._index = _Index(self.root)
        return self._index

    def _find(self, record_id: str) -> list[tuple[Path, Record]]:
        """Return every readable record of a job, oldest first."""
        found = [pair for pair in self._indexed().matching(record_id) if pair[1].record_id == record_id]
        return sorted(found, key=lambda pair: age(pair[1]))


class _Index:
    """Where records lie, by the first digits of their ids. Only a record that is asked for is read and checked."""

    def __init__(self, root: Path) -> None:
        self._loose: dict[str, list[Path]] = defaultdict(list)
        self._packed: dict[str, list[tuple[Path, str, bytes]]] = defaultdict(list)
        self._read: dict[Path, Record] = {}
        for path in _loose_files(root):
            self.add(path)
        for path in sorted(root.glob("*.jsonl")):
            for where, line in _lines(path, []):
                try:
                    record_id = str(parse(line, where).get("record_id"))
                except SslBenchError:
                    continue  # `records()` lists it
                self._packed[record_id[:ID8]].append((path, where, line))

    def add(self, path: Path) -> None:
        """Note a loose file; its name tells the first digits of its record's id."""
        self._loose[path.name.rpartition("-")[2][:ID8]].append(path)

    def matching(self, prefix: str) -> Iterator[tuple[Path, Record]]:
        """Give the readable records whose id begins with `prefix`, each with its file."""
        short = prefix[:ID8]
        packed = [short] if len(short) == ID8 else [key for key in self._packed if key.startswith(short)]
        loose = [short] if len(short) == ID8 else [key for key in self._loose if key.startswith(short)]
        for path, where, line in (item for key in packed for item in self._packed.get(key, ())):
            record = _try_parse(line, where)
            if record and record.record_id.startswith(prefix):
                yield path, record
        for path in (path for key in loose for path in self._loose.get(key, ())):
            record = self._read.get(path) or _try_read(path)
            if record and record.record_id.startswith(prefix):
                self._read[path] = record
                yield path, record


def _loose_files(root: Path) -> Iterator[Path]:
    """Give the paths of loose records; temporary files do not end in `.json`."""
    for model in _entries(root):
        if model.is_dir() and model.name != "samples" and not model.name.startswith("."):
            for task in _entries(model.path):
                if task.is_dir():
                    yield from (Path(file.path) for file in _entries(task.path) if file.name.endswith(".json"))


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, sorted; nothing where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise MissingError(f"cannot read {folder}: {error.strerror or error}") from error


def _read_loose(root: Path, skipped: list[Skipped]) -> Iterator[tuple[Path, Record]]:
    for path in _loose_files(root):
        try:
            yield path, Record.read(path)
        except SslBenchError as error:
            skipped.append(_skip(root, str(path), error))


def _read_packed(path: Path, skipped: list[Skipped]) -> Iterator[tuple[Path, Record]]:
    for where, line in _lines(path, skipped):
        try:
            yield path, Record.from_text(line, where)
        except SslBenchError as error:
            skipped.append(_skip(path.parent, where, error))


def _lines(path: Path, skipped: list[Skipped]) -> Iterator[tuple[str, bytes]]:
    """Give (place, line) for each line of a packed file that is not empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        skipped.append(Skipped(path.name, f"cannot be read: {error.strerror or error}"))
        return
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield f"{path}:{number}", line


def _try_read(path: Path) -> Record | None:
    try:
        return Record.read(path)
    except SslBenchError:
        return None


def _try_parse(line: bytes, where: str) -> Record | None:
    try:
        return Record.from_text(line, where)
    except SslBenchError:
        return None


def _write_loose(root: Path, record: Record) -> Path:
    """Write a record to its usual place, or beside it where another record is there."""
    content = f"{record.to_text()}\n".encode()
    for path in (root / loose_path(record), root / replicate_path(record)):
        if create_file(path, content):
            return path
        held = _try_read(path)
        if held and held.content_digest == record.content_digest:
            return path
    raise UsageError(f"{path}: holds something else than the record that its name tells; move it away")


def _remove_empty(folder: Path) -> None:
    """Remove the empty folders of a model; one that holds anything stays."""
    for path in (*(Path(entry.path) for entry in _entries(folder)), folder):
        try:
            path.rmdir()
        except OSError:
            continue


def _with_other_numbers(found: Iterable[Record]) -> tuple[Record, ...]:
    """Return the oldest record of every set of numbers, oldest first; empty where all agree."""
    distinct: list[Record] = []
    for record in sorted(found, key=age):
        if not any(record.agrees(other) for other in distinct):
            distinct.append(record)
    return tuple(distinct) if len(distinct) > 1 else ()


def _row(record: Record, drifted: bool) -> Row:
    headline = record.headline
    notes = [f"truncated to {record.task.truncated}"] if record.task.truncated else []
    return Row(
        record_id=record.record_id,
        model=record.model.name,
        task=record.task.name,
        protocol=record.protocol.name,
        seed=record.seed,
        metric=record.task.metric,
        unit=record.definition(record.task.metric).unit,
        value=headline.value,
        low=headline.interval.low if headline.interval else None,
        high=headline.interval.high if headline.interval else None,
        n=headline.n,
        created=record.created,
        note=", ".join([*notes, *(["drift"] if drifted else [])]),
    )


def digest_of(records: Iterable[Record]) -> str:
    """Return the sha256 over a set of records, whatever their order: what a board or a comparison was made from."""
    digests = sorted(record.content_digest for record in records)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()

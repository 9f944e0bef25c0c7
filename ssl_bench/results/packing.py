"""Loose records into one sorted file per model, and back. Nothing is lost, whoever writes or is killed meanwhile.

A packed file is written before the loose ones that it takes in are removed, and only over what was read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from ssl_bench.errors import MissingError, SslBenchError, UsageError
from ssl_bench.results import layout
from ssl_bench.results.reading import Entry, Skipped, lines, read_entry, reason_of, try_entry, where
from ssl_bench.results.record import Record
from ssl_bench.results.roots import PACKED, Root
from ssl_bench.results.verifications import Verification

ATTEMPTS = 20


def pack(root: Root, skipped: list[Skipped]) -> list[str]:
    """Move loose records, and what speaks of them, into `<model>.jsonl`; return the packed files that changed.

    Raises UsageError where a packed file holds a broken line, which packing would otherwise lose.
    """
    with root.lock():
        loose: dict[str, list[tuple[str, Entry]]] = defaultdict(list)
        for name, content in root.read_all([name for name in root.record_files() if not name.endswith(PACKED)]):
            if isinstance(content, FileNotFoundError):
                continue  # another packer was faster
            entry = try_entry(content, name)
            if entry is None:
                skipped.append(Skipped(name, why_not(content, name)))
            else:
                loose[layout.packed_name(_model(entry))].append((name, entry))
        for name, found in sorted(loose.items()):
            change_packed(root, name, add=[entry for _, entry in found])
            for old, _ in found:
                root.remove(old)
    return sorted(loose)


def change_packed(root: Root, name: str, add: Iterable[Entry] = (), remove: Iterable[str] = ()) -> None:
    """Write a packed file with more entries, or without the records with some content digests, or remove it if empty.

    Raises UsageError where it holds a broken line, MissingError where others keep changing it.
    """
    add, gone = list(add), set(remove)
    for _ in range(ATTEMPTS):
        stamp = root.stamp(name)
        entries = [*(read_packed(root, name) if stamp else ()), *add]
        texts = {entry.to_text(): entry for entry in entries if not (isinstance(entry, Record) and _of(entry) in gone)}
        ordered = sorted(texts.items(), key=lambda item: _order(item[1]))
        if not ordered:
            root.remove(name)
            return
        if root.replace(name, "".join(f"{text}\n" for text, _ in ordered).encode(), stamp):
            return
    raise MissingError(f"{root.place}/{name}: another process changes it all the time; pack again later")


def unpack(root: Root, verify: Callable[[Record], None]) -> list[str]:
    """Move packed records into loose files and return those files; the inverse of `pack`.

    Raises UsageError where a packed file holds a broken line or a record that `verify` refuses; it then stays packed.
    """
    written: list[str] = []
    with root.lock():
        for name in [name for name in root.record_files() if name.endswith(PACKED)]:
            entries = read_packed(root, name)
            for entry in entries:
                if isinstance(entry, Record):
                    verify(entry)
            written += [write_loose(root, entry) for entry in sorted(entries, key=_by_age)]
            root.remove(name)
    return written


def read_packed(root: Root, name: str) -> list[Entry]:
    """Return what a packed file holds; raise UsageError naming the first broken line."""
    found = []
    for number, line in lines(name, root.read(name)):
        place = where(name, number)
        try:
            found.append(read_entry(line, place))
        except SslBenchError as error:
            reason = f"{reason_of(error, place)}; mend or delete that line first: it would be lost"
            raise UsageError(f"{root.place}/{place}: {reason}") from None
    return found


def write_loose(root: Root, entry: Entry) -> str:
    """Write an entry to its usual name, or beside it where another record is there; return the name."""
    content = f"{entry.to_text()}\n".encode()
    for name in _names(entry):
        if root.create(name, content):
            return name
        held = try_entry(root.read(name), name)
        if held and held.content_digest == entry.content_digest:
            return name
    raise UsageError(f"{root.place}/{name}: holds something else than the record that its name tells; move it away")


def _names(entry: Entry) -> tuple[str, ...]:
    """Return where an entry may lie, the usual place first."""
    if isinstance(entry, Record):
        return layout.loose_name(entry), layout.replicate_name(entry)
    if isinstance(entry, Verification):
        return (layout.verification_name(entry),)
    return (layout.withdrawal_name(entry),)


def why_not(content: bytes | OSError, name: str) -> str:
    """Return why a file's content is no entry."""
    if isinstance(content, OSError):
        return reason_of(content, name)
    try:
        read_entry(content, name)
    except SslBenchError as error:
        return reason_of(error, name)
    return "changed while it was read"


def _model(entry: Entry) -> str:
    return entry.model.name if isinstance(entry, Record) else entry.model


def _of(entry: Record) -> str:
    return entry.content_digest


def _order(entry: Entry) -> tuple[object, ...]:
    """Return the order of a packed file: records by job and age, withdrawals after those of their job, and what was
    verified of a model after all its records."""
    if isinstance(entry, Record):
        name, *job = layout.place(entry)[:5]
        return (name, 0, *job, 0, *layout.age(entry))
    if isinstance(entry, Verification):
        return (entry.model, 1, *_by_age(entry))
    return (
        entry.model,
        0,
        entry.task,
        entry.protocol,
        entry.seed,
        entry.record_id,
        1,
        entry.created,
        entry.content_digest,
    )


def _by_age(entry: Entry) -> tuple[str, str]:
    return entry.created, entry.content_digest

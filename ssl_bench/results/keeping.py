"""Bringing records from one place to another, and clearing away what no record needs."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, defaultdict
from collections.abc import Mapping

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.results import packing
from ssl_bench.results import samples as sample_files
from ssl_bench.results.reading import lines, read_entry
from ssl_bench.results.store import Results
from ssl_bench.results.verifications import Verification
from ssl_bench.results.withdrawals import Withdrawal

YOUNG = 86_400.0
"""Seconds for which predictions without a record are kept: the run that wrote them may still be about to record."""


@dataclasses.dataclass(frozen=True)
class Waste:
    """What `gc` may remove."""

    samples: tuple[str, ...]
    """Predictions that no record names, a day old and older."""
    repeats: tuple[tuple[str, int, str, str], ...]
    """(file, line, content digest, status) of records that are younger than the one that stands for their job."""
    leftovers: tuple[str, ...]
    """Temporary files of killed processes, an hour old and older."""
    bytes: int
    """Of the predictions."""
    held_back: str
    """Why predictions are not looked at; usually empty."""


def import_records(target: Results, source: Results) -> Counter[str]:
    """Copy records, what speaks of them, and per-sample predictions; return how many of each outcome.

    What is there already is left as it is, so that an interrupted import is finished by another. Raises MissingError
    where the target cannot be written.
    """
    target.check_writable()
    counts: Counter[str] = Counter()
    source.index.refresh()
    names = source.index.rows("SELECT DISTINCT file FROM places WHERE holds <> 'skipped'")
    for (name,) in names:
        content = source.files.read(name)
        for _, line in lines(name, content):
            counts[_import_line(target, source, line, name)] += 1
    counts["skipped"] = len(source.index.skipped())
    return counts


def _import_line(target: Results, source: Results, line: bytes, name: str) -> str:
    """Take one line in, predictions before their record, and return what became of it."""
    try:
        entry = read_entry(line, name)
    except UsageError:
        return "unreadable"
    if isinstance(entry, Withdrawal):
        return "withdrawals" if target.put_withdrawal(entry) else "present"
    if isinstance(entry, Verification):
        return "verifications" if target.put_verification(entry) else "present"
    try:
        content = sample_files.read_bytes(source.files, entry.samples)
    except (MissingError, UsageError):
        pass  # packed records travel without them
    else:
        target.files.create(sample_files.sample_name(entry.samples.sha256), content)
    try:
        return target.put(entry).outcome
    except UsageError:
        return "refused"


def waste(results: Results, *, drift: bool = False) -> Waste:
    """Return what may go: predictions without a record, repeats of equal numbers, with `drift` those of others too.

    What a verification speaks of stays.
    """
    results.index.refresh()
    statuses = ("repeat", "drift") if drift else ("repeat",)
    query = (
        "SELECT file, line, content_digest, status FROM records JOIN places USING (content_digest) "
        f"WHERE holds = 'record' AND status IN ({', '.join('?' * len(statuses))}) AND content_digest NOT IN "
        "(SELECT content_digest FROM verifications) ORDER BY file, line"
    )
    broken = len(results.index.skipped())
    held_back = f"{broken} files or lines cannot be read, and may name predictions" if broken else ""
    named = {digest for (digest,) in results.index.rows("SELECT samples FROM records")}
    old = time.time() - YOUNG
    unnamed = {
        name: file.size
        for name, file in (results.files.sample_files() if not broken else {}).items()
        if sample_files.sha256_of(name) not in named and file.modified < old
    }
    return Waste(
        samples=tuple(unnamed),
        repeats=tuple(results.index.rows(query, statuses)),
        leftovers=tuple(results.files.leftovers()),
        bytes=sum(unnamed.values()),
        held_back=held_back,
    )


def remove(results: Results, found: Waste) -> None:
    """Remove what `waste` found, but for predictions that a record names by now."""
    results.check_writable()
    unnamed = set(waste(results).samples)
    packed: Mapping[str, list[str]] = defaultdict(list)
    with results.files.lock():
        for name, line, digest, _ in found.repeats:
            if line:
                packed[name].append(digest)
            else:
                results.files.remove(name)
        for name, digests in packed.items():
            packing.change_packed(results.files, name, remove=digests)
        for name in (*(name for name in found.samples if name in unnamed), *found.leftovers):
            results.files.remove(name)
    results.refresh()

"""What somebody claims of one model: records, with the predictions and features behind them.

A claim is a bundle, or records of a store, of which no features are fixed.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable

from ssl_bench.errors import UsageError
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.results import samples as sample_files
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.results.store import Results, digest_of
from ssl_bench.submission.bundle import Bundle
from ssl_bench.submission.limits import readable
from ssl_bench.submission.sketch import Sketch


@dataclasses.dataclass(frozen=True, eq=False)
class Claim:
    """Records of one model, and what is behind them."""

    where: str
    """For people."""
    model: str
    records: tuple[Record, ...]
    digest: str
    """sha256 of all that is claimed: of the bundle, or of the set of records."""
    table: Callable[[Record], Table]
    """A record's predictions; raises MissingError or UsageError where they are not there or are none."""
    sketch: Callable[[Record], Sketch | None]
    """What was fixed of the features behind a record; None where nothing was."""
    bundle: Bundle | None = None
    """None for records of a store."""

    @property
    def entry(self) -> Entry | None:
        """What the submitter declares."""
        return self.bundle.entry if self.bundle else None

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that are answered, sorted."""
        return tuple(sorted({record.task.name for record in self.records}))


def of_bundle(bundle: Bundle) -> Claim:
    """Return what a bundle claims; raise UsageError where it is not of one model."""
    names = sorted({record.model.name for record in bundle.records})
    if names != [bundle.entry.name]:
        said = ", ".join(readable(name) for name in names[:3])
        raise UsageError(f"{bundle.where}: the card is of {readable(bundle.entry.name)!r}, the records of {said}")
    return Claim(
        where=bundle.where,
        model=names[0],
        records=bundle.records,
        digest=bundle.digest,
        table=bundle.table,
        sketch=bundle.sketch,
        bundle=bundle,
    )


def of_records(results: Results, prefixes: Iterable[str]) -> list[Claim]:
    """Return a claim for each model that has a record with one of these ids or content digests; withdrawn ones too.

    Raises UsageError where one of them names no job or several.
    """
    found: dict[str, dict[str, Record]] = defaultdict(dict)
    for record in (record for prefix in prefixes for record in results.find(prefix)):
        found[record.model.name][record.content_digest] = record
    return [
        Claim(
            where=f"records under {results.root}",
            model=model,
            records=tuple(sorted(records.values(), key=lambda one: (one.task.name, one.protocol.name, one.seed))),
            digest=digest_of(records.values()),
            table=lambda record: sample_files.read(results.files, record.samples),
            sketch=lambda _: None,
        )
        for model, records in sorted(found.items())
    ]

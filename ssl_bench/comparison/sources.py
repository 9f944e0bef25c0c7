"""Where a side of a comparison comes from: whatever `results.sources` opens, or a named baseline, "baseline:main".

Per-sample predictions are found by their digest, so they may lie beside the records or under any other root that is
named: git seldom holds them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.results.invariants import ContradictionError
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.results.sources import KNOWN, open_source
from ssl_bench.results.store import Results

BASELINES = Path("baselines")
"""Folder of named record sets, one folder each."""


@dataclasses.dataclass(frozen=True)
class Source:
    """The records of one side."""

    label: str
    records: tuple[Record, ...]
    stores: tuple[Results, ...] = ()
    """Where their per-sample predictions may lie."""
    skipped: tuple[str, ...] = ()
    """Files and lines that could not be read, with the reason."""

    def samples(self, record: Record, further: Sequence[Results] = ()) -> Table | None:
        """Return a record's predictions from the first store that has them; None where none has.

        Raises UsageError where a file is there and is not what its name tells, or the record says other than it does.
        """
        for store in (*self.stores, *further):
            try:
                return store.read_samples(record)
            except MissingError:
                continue
            except ContradictionError as error:
                raise UsageError(f"record {record.record_id[:12]} of {record.model.name}: {error}") from error
        return None


def get(what: str | Path | Results | Iterable[Record], baselines: Path = BASELINES) -> Source:
    """Return the records that `what` names; raise UsageError or MissingError where there are none."""
    if isinstance(what, Results):
        return Source("records", tuple(what.records()), (what,))
    if not isinstance(what, str | Path):
        return Source("records", tuple(what))
    label = str(what)
    baseline = label.startswith("baseline:")
    store = open_source(_place(label, baselines) if baseline else what, known=f"{KNOWN}, baseline:NAME")
    source = Source(label, tuple(store.records()), (store,), tuple(map(str, store.skipped)))
    if not source.records:
        why = f"; {source.skipped[0]}" if source.skipped else ""
        raise UsageError(f"no record is in {source.label}{why}")
    return source


def _place(text: str, baselines: Path) -> Path:
    """Return where a named baseline lies."""
    name = text.partition(":")[2]
    for path in (baselines / name, baselines / f"{name}.jsonl"):
        if name and path.exists():
            return path
    known = sorted(path.stem for path in baselines.iterdir()) if baselines.is_dir() else []
    there = f"there is {', '.join(known)}" if known else f"there is none under {baselines}"
    raise UsageError(f"no baseline is called {name!r}; {there}. `ssl-bench baseline set` or `pull` makes one")

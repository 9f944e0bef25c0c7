"""The lines of `results ls`."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterator

from ssl_bench.results.index import Index
from ssl_bench.results.standing import UNCHECKED, Standing, standings


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of `results ls`: a job, or a record that was withdrawn from it."""

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
    """"truncated", "drift", "disputed" or "withdrawn", where that is so."""


def rows(index: Index, pattern: str = "*") -> list[Row]:
    """Return a line per job and per withdrawn record, by model, task, protocol and seed; `index` is up to date.

    `pattern` is a glob over model, task or protocol.
    """
    return list(_rows(index, pattern))


def _rows(index: Index, pattern: str) -> Iterator[Row]:
    found = index.rows(
        "SELECT record_id, model, task, protocol, seed, metric, unit, value, low, high, n, created, truncated, drift, "
        "status, reason, content_digest FROM records WHERE status IN ('standing', 'withdrawn') "
        "ORDER BY model, task, protocol, seed, record_id, status, created"
    )
    matching: dict[str, bool] = {}
    how = standings(index.verifications())
    for *values, truncated, drift, status, reason, digest in found:
        names = values[1:4]
        for name in names:
            if name not in matching:
                matching[name] = fnmatch.fnmatchcase(name, pattern)
        if any(matching[name] for name in names):
            notes = [f"truncated to {truncated}"] if truncated else []
            notes += ["drift"] if drift and status == "standing" else []
            notes += _checked(how.get(digest, UNCHECKED)) if status == "standing" else []
            notes += [f"withdrawn: {reason}"] if status == "withdrawn" else []
            yield Row(*(*values, ", ".join(notes)))


def _checked(standing: Standing) -> list[str]:
    """Return what others found of a record, where they found anything."""
    if standing.level == "disputed":
        return [f"disputed: {standing.note}"]
    return [standing.level] if standing != UNCHECKED else []


def names(index: Index) -> set[str]:
    """Return every model, task and protocol that has records."""
    return {
        name
        for column in ("model", "task", "protocol")
        for (name,) in index.rows(f"SELECT DISTINCT {column} FROM records")
    }
